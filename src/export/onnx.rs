//! Encoder and decoder as ONNX models.
//!
//! An ONNX file is a protocol-buffer message; the few of its messages and fields that a row of linear layers needs are declared below
//! under their numbers (`onnx.proto`, IR version 8, operator set 13).

use prost::Message;

use crate::backend::NEGATIVE_SLOPE;
use crate::nn::weights::layout_of;
use crate::nn::{Kind, Weights};

/// Versions that every runtime of the last years reads.
const IR_VERSION: i64 = 8;
const OPERATOR_SET: i64 = 13;

/// Numbers that the format gives to types.
const FLOAT_TENSOR: i32 = 1;
const FLOAT_ATTRIBUTE: i32 = 1;
const INTEGER_ATTRIBUTE: i32 = 2;

/// What a model takes and gives in its first dimension.
const BATCH: &str = "batch";

/// The encoder: input `image` `[batch, pixels]`, values from 0 to 1; outputs `mean` and `log_var` `[batch, latent]`, for the AE
/// `code` `[batch, latent]`.
pub fn encoder(weights: &Weights) -> Vec<u8> {
    let dims = weights.dims;
    let mut graph = Graph::new(weights, "encoder", ("image", dims.input));
    let hidden = graph.hidden(["encoder.FC_input", "encoder.FC_input2"], "image");
    match weights.kind {
        Kind::Vanilla => graph.output("encoder.FC_latent", &hidden, "code", dims.latent),
        Kind::Variational => {
            graph.output("encoder.FC_mean", &hidden, "mean", dims.latent);
            graph.output("encoder.FC_var", &hidden, "log_var", dims.latent);
        }
    }
    graph.model(
        "An image to its code; the posterior is normal with this mean and log variance where there are two outputs.",
    )
}

/// The decoder: input `code` `[batch, latent]`; outputs `logits` and `image` `[batch, pixels]`, which is their sigmoid.
pub fn decoder(weights: &Weights) -> Vec<u8> {
    let dims = weights.dims;
    let mut graph = Graph::new(weights, "decoder", ("code", dims.latent));
    let hidden = graph.hidden(["decoder.FC_hidden", "decoder.FC_hidden2"], "code");
    graph.output("decoder.FC_output", &hidden, "logits", dims.input);
    graph.node("Sigmoid", &["logits"], "image", Vec::new());
    graph.proto.output.push(tensor_info("image", dims.input));
    graph.model("A code to an image.")
}

/// A graph under construction.
struct Graph<'a> {
    weights: &'a Weights,
    proto: GraphProto,
}

impl<'a> Graph<'a> {
    fn new(weights: &'a Weights, name: &str, (input, size): (&str, usize)) -> Self {
        let proto =
            GraphProto { name: name.to_owned(), input: vec![tensor_info(input, size)], ..GraphProto::default() };
        Self { weights, proto }
    }

    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{operator} {output}"),
            op_type: operator.to_owned(),
            attribute,
        });
    }

    /// A linear layer, y = x W^T + b, with PyTorch's weight `[out, in]`.
    fn linear(&mut self, layer: &str, x: &str, y: &str) {
        let names = [format!("{layer}.weight"), format!("{layer}.bias")];
        for name in &names {
            self.initializer(name);
        }
        self.node("Gemm", &[x, &names[0], &names[1]], y, vec![integer("transB", 1)]);
    }

    fn initializer(&mut self, name: &str) {
        let layout = layout_of(self.weights.kind, self.weights.dims);
        let slots = layout.slots().iter().filter(|slot| slot.name == name);
        self.proto.initializer.extend(slots.map(|slot| TensorProto {
            dims: slot.shape.dims().iter().map(|size| *size as i64).collect(),
            data_type: FLOAT_TENSOR,
            name: name.to_owned(),
            raw_data: self.weights.values[slot.range()].iter().flat_map(|value| value.to_le_bytes()).collect(),
        }));
    }

    /// Two layers, each with LeakyReLU; the name of the result.
    fn hidden(&mut self, layers: [&str; 2], input: &str) -> String {
        let mut x = input.to_owned();
        for layer in layers {
            let (sum, y) = (format!("{layer}.sum"), format!("{layer}.out"));
            self.linear(layer, &x, &sum);
            self.node("LeakyRelu", &[&sum], &y, vec![float("alpha", NEGATIVE_SLOPE)]);
            x = y;
        }
        x
    }

    fn output(&mut self, layer: &str, x: &str, name: &str, size: usize) {
        self.linear(layer, x, name);
        self.proto.output.push(tensor_info(name, size));
    }

    /// The file.
    fn model(self, doc_string: &str) -> Vec<u8> {
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "latent".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: doc_string.to_owned(),
            metadata_props: vec![
                entry("model", self.weights.kind.to_string()),
                entry("dims", self.weights.dims.to_string()),
            ],
            graph: Some(self.proto),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATOR_SET }],
        };
        model.encode_to_vec()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i: Some(value), kind: INTEGER_ATTRIBUTE, f: None }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), f: Some(value), kind: FLOAT_ATTRIBUTE, i: None }
}

/// Says that `name` is a tensor `[batch, size]`.
fn tensor_info(name: &str, size: usize) -> ValueInfoProto {
    let batch = Dimension { value: Some(DimensionValue::Param(BATCH.to_owned())) };
    let size = Dimension { value: Some(DimensionValue::Value(size as i64)) };
    let shape = TensorShapeProto { dim: vec![batch, size] };
    let tensor_type = TensorTypeProto { elem_type: FLOAT_TENSOR, shape: Some(shape) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// A model: a graph and what it was made for.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(string, tag = "6")]
    doc_string: String,
    /// What it computes.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Nodes in the order in which they can be computed.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// The operations.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    /// The parameters.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

/// An operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of its operands.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of its results.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    /// Which operation.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Its settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// A setting of an operation.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value, where that is a float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// Its value, where that is an integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

/// A tensor with its values.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Its sizes.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Its values, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    value: Option<DimensionValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum DimensionValue {
    #[prost(int64, tag = "1")]
    Value(i64),
    #[prost(string, tag = "2")]
    Param(String),
}
