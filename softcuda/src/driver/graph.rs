//! Graphs: operations with what each comes after, to be launched as one.

use super::abi::{In, Out, answer_list, api};
use super::code::{Code, Outcome};
use super::context::Context;
use super::launch::Request;
use super::operation::{HostFunction, KernelCall, Operation};
use super::plan::{Plan, Run};
use super::state::{Driver, Handle, driver, lock, merge, new_handle};
use super::stream;
use super::transfer::{Copy3, Description3, Fill};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// A node of a graph.
#[derive(Clone)]
pub struct Node {
    /// What it does.
    pub operation: Operation,
    /// The nodes that it comes after.
    pub after: Vec<Handle>,
    /// The node that it is a copy of.
    origin: Handle,
    /// Addresses of a kernel's parameters, once the client asked for them.
    addresses: Vec<u64>,
}

/// Which graph a node is in.
pub struct NodeHome {
    graph: Arc<Graph>,
}

/// A graph.
pub struct Graph {
    /// Its handle.
    pub handle: Handle,
    nodes: Mutex<BTreeMap<Handle, Node>>,
}

/// A graph made ready to be launched.
pub struct Executable {
    plan: Mutex<Arc<Plan>>,
    flags: u64,
}

impl Graph {
    /// An empty graph.
    pub fn create(driver: &Driver) -> Arc<Graph> {
        driver.graphs.create(|handle| Graph { handle, nodes: Mutex::default() }).1
    }

    /// Adds a node.
    pub fn add(self: &Arc<Graph>, driver: &Driver, operation: Operation, after: Vec<Handle>) -> Handle {
        let handle = new_handle();
        lock(&self.nodes).insert(handle, Node { operation, after, origin: handle, addresses: Vec::new() });
        driver.nodes.insert(handle, Arc::new(NodeHome { graph: self.clone() }));
        handle
    }

    /// Forgets the graph and its nodes.
    pub fn destroy(&self, driver: &Driver) {
        let _ = driver.graphs.remove(self.handle);
        driver.nodes.retain(|home| home.graph.handle != self.handle);
    }

    /// Whether all of `wanted` are its nodes.
    pub fn has_all(&self, wanted: &[Handle]) -> bool {
        let nodes = lock(&self.nodes);
        wanted.iter().all(|node| nodes.contains_key(node))
    }

    /// The nodes that come after nothing.
    pub fn roots(&self) -> Vec<Handle> {
        lock(&self.nodes).iter().filter(|(_, node)| node.after.is_empty()).map(|(handle, _)| *handle).collect()
    }

    /// The given nodes and all that they come after.
    pub fn before(&self, last: &[Handle]) -> BTreeSet<Handle> {
        let nodes = lock(&self.nodes);
        let (mut found, mut left) = (BTreeSet::new(), last.to_vec());
        while let Some(handle) = left.pop() {
            if found.insert(handle) {
                left.extend(nodes.get(&handle).map(|node| node.after.clone()).unwrap_or_default());
            }
        }
        found
    }

    /// All nodes in the order in which they were made.
    pub fn nodes(&self) -> Vec<(Handle, Node)> {
        lock(&self.nodes).iter().map(|(handle, node)| (*handle, node.clone())).collect()
    }

    fn edges(&self) -> (Vec<Handle>, Vec<Handle>) {
        let nodes = lock(&self.nodes);
        nodes.iter().flat_map(|(to, node)| node.after.iter().map(|from| (*from, *to))).unzip()
    }

    fn with<T>(&self, node: Handle, use_it: impl FnOnce(&mut Node) -> Outcome<T>) -> Outcome<T> {
        use_it(lock(&self.nodes).get_mut(&node).ok_or(Code::INVALID_VALUE)?)
    }
}

/// A launch as a kernel node describes it.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelNode {
    function: Handle,
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    parameters: u64,
    extra: u64,
}

/// The newer form, with the kernel of a library and a context behind.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelNode2 {
    launch: KernelNode,
    kernel: Handle,
    context: Handle,
}

impl KernelNode2 {
    fn resolve(mut self, driver: &Driver) -> Outcome<KernelCall> {
        if self.launch.function == 0 {
            self.launch.function = self.kernel;
        }
        self.launch.resolve(driver)
    }
}

impl KernelNode {
    fn resolve(self, driver: &Driver) -> Outcome<KernelCall> {
        let KernelNode { function, grid, block, shared_bytes, parameters, extra } = self;
        let request = Request { grid, block, shared_bytes, cooperative: false, parameters, extra };
        request.resolve(driver, driver.functions.get(function)?)
    }

    fn of(driver: &Driver, node: &mut Node) -> Outcome<KernelNode> {
        let Operation::Kernel(call) = &node.operation else { return Err(Code::INVALID_VALUE) };
        let start = call.parameters.as_ptr() as u64;
        node.addresses = call.function.kernel().parameters.iter().map(|p| start + p.offset as u64).collect();
        let function = driver.functions.handle_of(|known| std::ptr::eq(known, &*call.function));
        let (grid, block, shared_bytes) = (call.grid, call.block, call.shared_bytes);
        let parameters = node.addresses.as_ptr() as u64;
        Ok(KernelNode { function: function.unwrap_or(0), grid, block, shared_bytes, parameters, extra: 0 })
    }
}

/// A fill as a node describes it.
#[repr(C)]
#[derive(Clone, Copy)]
struct FillNode {
    address: u64,
    pitch: u64,
    value: u32,
    bytes: u32,
    width: u64,
    height: u64,
}

impl FillNode {
    fn resolve(self, driver: &Driver) -> Outcome<Fill> {
        let FillNode { address, pitch, value, bytes, width, height } = self;
        let fill = Fill { name: "cuGraphAddMemsetNode", address, pitch, value, bytes, width, height };
        fill.check(driver)?;
        Ok(fill)
    }
}

fn copy_of(description: In<Description3>) -> Outcome<Copy3> {
    description.get()?.resolve("cuGraphAddMemcpyNode")
}

fn host_of(description: In<HostFunction>) -> Outcome<HostFunction> {
    let host = description.get()?;
    if host.function == 0 { Err(Code::INVALID_VALUE) } else { Ok(host) }
}

/// The list of nodes that a new one comes after.
#[derive(Clone, Copy)]
struct After(In<Handle>, usize);

fn add(
    target: Out<Handle>,
    graph: Handle,
    after: After,
    operation: impl FnOnce(&'static Driver) -> Outcome<Operation>,
) -> Outcome {
    let driver = driver()?;
    let graph = driver.graphs.get(graph)?;
    let after = after.0.list(after.1)?;
    if target.is_null() || !graph.has_all(&after) || after.iter().collect::<BTreeSet<_>>().len() != after.len() {
        return Err(Code::INVALID_VALUE);
    }
    target.set(graph.add(driver, operation(driver)?, after))
}

/// The operation that `cuGraphAddNode` describes: its type, and what belongs to that from byte 16 on.
fn described(driver: &Driver, description: u64) -> Outcome<Operation> {
    let at = description + 16;
    Ok(match In::<u32>::at(description).get()? {
        0 => Operation::Kernel(In::<KernelNode2>::at(at).get()?.resolve(driver)?),
        1 => Operation::Copy(copy_of(In::at(at + 16))?),
        2 => Operation::Fill(In::<FillNode>::at(at).get()?.resolve(driver)?),
        3 => Operation::Host(host_of(In::at(at))?),
        4 => Operation::Child(driver.graphs.get(In::at(at).get()?)?),
        5 => Operation::Empty,
        6 => Operation::Wait(driver.events.get(In::at(at).get()?)?),
        7 => Operation::Record(driver.events.get(In::at(at).get()?)?),
        11 => Operation::Free(In::at(at).get()?),
        _ => return Err(Code::NOT_SUPPORTED),
    })
}

fn change_edges(graph: Handle, from: In<Handle>, to: In<Handle>, count: usize, adds: bool) -> Outcome {
    let graph = driver()?.graphs.get(graph)?;
    for (from, to) in from.list(count)?.into_iter().zip(to.list(count)?) {
        if from == to || !graph.has_all(&[from, to]) || (adds && graph.before(&[from]).contains(&to)) {
            return Err(Code::INVALID_VALUE);
        }
        graph.with(to, |node| match node.after.iter().position(|known| *known == from) {
            Some(place) if !adds => {
                node.after.remove(place);
                Ok(())
            }
            None if adds => {
                node.after.push(from);
                Ok(())
            }
            _ => Err(Code::INVALID_VALUE),
        })?;
    }
    Ok(())
}

fn get_edges(graph: Handle, from: Out<Handle>, to: Out<Handle>, count: Out<usize>) -> Outcome {
    let (sources, targets) = driver()?.graphs.get(graph)?.edges();
    if from.is_null() && to.is_null() {
        return count.set(sources.len());
    }
    let capacity = count.get()?;
    from.fill(&sources, capacity)?;
    to.fill(&targets, capacity)?;
    count.set(capacity.min(sources.len()))
}

fn get_nodes(graph: Handle, nodes: Out<Handle>, count: Out<usize>) -> Outcome {
    let all: Vec<Handle> = driver()?.graphs.get(graph)?.nodes().into_iter().map(|(handle, _)| handle).collect();
    answer_list(nodes, count, &all)
}

/// Uses a node.
fn at<T>(node: Handle, use_it: impl FnOnce(&'static Driver, &mut Node) -> Outcome<T>) -> Outcome<T> {
    let driver = driver()?;
    driver.nodes.get(node)?.graph.with(node, |node| use_it(driver, node))
}

fn dependents(node: Handle, nodes: Out<Handle>, count: Out<usize>) -> Outcome {
    let home = driver()?.nodes.get(node)?;
    let all = home.graph.nodes();
    let found: Vec<Handle> =
        all.into_iter().filter(|(_, other)| other.after.contains(&node)).map(|(handle, _)| handle).collect();
    answer_list(nodes, count, &found)
}

/// Replaces what a node does by something of the same kind.
fn replace(node: Handle, operation: impl FnOnce(&'static Driver) -> Outcome<Operation>) -> Outcome {
    at(node, |driver, node| {
        let operation = operation(driver)?;
        if operation.node_type() != node.operation.node_type() {
            return Err(Code::INVALID_VALUE);
        }
        node.operation = operation;
        Ok(())
    })
}

/// The same within an executable.
fn replace_in(
    executable: Handle,
    node: Handle,
    operation: impl FnOnce(&'static Driver) -> Outcome<Operation>,
) -> Outcome {
    let driver = driver()?;
    let executable = driver.executables.get(executable)?;
    let operation = operation(driver)?;
    Arc::make_mut(&mut lock(&executable.plan)).replace(node, operation)
}

fn destroy_node(node: Handle) -> Outcome {
    let home = driver()?.nodes.remove(node)?;
    let mut nodes = lock(&home.graph.nodes);
    nodes.remove(&node);
    nodes.values_mut().for_each(|other| other.after.retain(|from| *from != node));
    Ok(())
}

fn clone(target: Out<Handle>, original: Handle) -> Outcome {
    let driver = driver()?;
    let original = driver.graphs.get(original)?;
    let copy = Graph::create(driver);
    let mut copies: BTreeMap<Handle, Handle> = BTreeMap::new();
    let nodes = original.nodes();
    for (handle, node) in &nodes {
        let fresh = copy.add(driver, node.operation.clone(), Vec::new());
        copies.insert(*handle, fresh);
    }
    for (handle, node) in nodes {
        copy.with(copies[&handle], |fresh| {
            fresh.origin = handle;
            fresh.after = node.after.iter().filter_map(|from| copies.get(from).copied()).collect();
            Ok(())
        })?;
    }
    target.set(copy.handle)
}

fn find_in_clone(target: Out<Handle>, original: Handle, copy: Handle) -> Outcome {
    let nodes = driver()?.graphs.get(copy)?.nodes();
    let found = nodes.iter().find(|(_, node)| node.origin == original).ok_or(Code::INVALID_VALUE)?;
    target.set(found.0)
}

fn instantiate(target: Out<Handle>, graph: Handle, flags: u64) -> Outcome {
    const KNOWN: u64 = 15;
    let driver = driver()?;
    let graph = driver.graphs.get(graph)?;
    if flags & !KNOWN != 0 || target.is_null() {
        return Err(Code::INVALID_VALUE);
    }
    let plan = Mutex::new(Arc::new(Plan::of(&graph)?));
    target.set(driver.executables.create(|_| Executable { plan, flags }).0)
}

/// What `cuGraphInstantiateWithParams` reads and answers.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instantiation {
    flags: u64,
    upload: Handle,
    node: Handle,
    result: u32,
}

fn instantiate_with(target: Out<Handle>, graph: Handle, parameters: Out<Instantiation>) -> Outcome {
    const SUCCESS: u32 = 0;
    const ERROR: u32 = 1;
    let mut answer = parameters.get()?;
    let outcome = instantiate(target, graph, answer.flags);
    (answer.node, answer.result) = (0, if outcome.is_ok() { SUCCESS } else { ERROR });
    parameters.set(answer)?;
    outcome
}

fn launch(executable: Handle, stream: Handle) -> Outcome {
    let (driver, context, stream) = stream::at(stream)?;
    let plan = lock(&driver.executables.get(executable)?.plan).clone();
    if super::capture::frontier(&stream)?.is_some() {
        return capture_launch(driver, &context, &stream, &plan);
    }
    let run = Arc::new(Run::of(plan));
    context.submit(driver, &stream, Operation::Graph(run.clone()))?;
    let mut clock = lock(&stream.clock);
    for (number, last) in run.side_lanes() {
        merge(&mut clock.after, &BTreeMap::new(), number, last);
    }
    Ok(())
}

/// Within a capture, a launch adds the executable's operations one after the other.
fn capture_launch(
    driver: &'static Driver,
    context: &Arc<Context>,
    stream: &Arc<stream::Stream>,
    plan: &Plan,
) -> Outcome {
    plan.operations().try_for_each(|operation| context.submit(driver, stream, operation.clone()))
}

/// The outcome of an update: what changed too much, and the node.
fn update(executable: Handle, graph: Handle) -> Outcome<(u32, Handle)> {
    const SUCCESS: u32 = 0;
    let driver = driver()?;
    let (executable, graph) = (driver.executables.get(executable)?, driver.graphs.get(graph)?);
    let plan = Plan::of(&graph)?;
    let mut current = lock(&executable.plan);
    match current.difference(&plan) {
        Some(difference) => Ok(difference),
        None => {
            Arc::make_mut(&mut current).take_operations(plan);
            Ok((SUCCESS, 0))
        }
    }
}

fn outcome_of(result: u32) -> Outcome {
    if result == 0 { Ok(()) } else { Err(Code::GRAPH_EXEC_UPDATE_FAILURE) }
}

fn update_1(executable: Handle, graph: Handle, node: Out<Handle>, answer: Out<u32>) -> Outcome {
    let (result, culprit) = update(executable, graph)?;
    node.offer(culprit);
    answer.offer(result);
    outcome_of(result)
}

#[repr(C)]
#[derive(Clone, Copy)]
struct UpdateResult {
    result: u32,
    node: Handle,
    from: Handle,
}

fn update_2(executable: Handle, graph: Handle, answer: Out<UpdateResult>) -> Outcome {
    let (result, node) = update(executable, graph)?;
    answer.offer(UpdateResult { result, node, from: 0 });
    outcome_of(result)
}

fn set_enabled(executable: Handle, node: Handle, enabled: u32) -> Outcome {
    let executable = driver()?.executables.get(executable)?;
    Arc::make_mut(&mut lock(&executable.plan)).enable(node, enabled != 0)
}

fn get_enabled(executable: Handle, node: Handle, target: Out<u32>) -> Outcome {
    let executable = driver()?.executables.get(executable)?;
    let enabled = lock(&executable.plan).is_enabled(node)?;
    target.set(enabled.into())
}

fn kernel_params(node: Handle, target: Out<KernelNode>) -> Outcome {
    at(node, |driver, node| target.set(KernelNode::of(driver, node)?))
}

fn kernel_params_2(node: Handle, target: Out<KernelNode2>) -> Outcome {
    at(node, |driver, node| target.set(KernelNode2 { launch: KernelNode::of(driver, node)?, kernel: 0, context: 0 }))
}

fn fill_params(node: &Node) -> Outcome<FillNode> {
    let Operation::Fill(fill) = &node.operation else { return Err(Code::INVALID_VALUE) };
    let Fill { address, pitch, value, bytes, width, height, .. } = *fill;
    Ok(FillNode { address, pitch, value, bytes, width, height })
}

fn host_params(node: &Node) -> Outcome<HostFunction> {
    if let Operation::Host(host) = node.operation { Ok(host) } else { Err(Code::INVALID_VALUE) }
}

fn copy_params(node: &Node) -> Outcome<Description3> {
    if let Operation::Copy(copy) = &node.operation { Ok(Description3::of(copy)) } else { Err(Code::INVALID_VALUE) }
}

fn destroy(graph: Handle) -> Outcome {
    let driver = driver()?;
    driver.graphs.get(graph)?.destroy(driver);
    Ok(())
}

fn kernel_node(description: In<KernelNode>) -> impl FnOnce(&'static Driver) -> Outcome<Operation> {
    move |driver| Ok(Operation::Kernel(description.get()?.resolve(driver)?))
}

fn kernel_node_2(description: In<KernelNode2>) -> impl FnOnce(&'static Driver) -> Outcome<Operation> {
    move |driver| Ok(Operation::Kernel(description.get()?.resolve(driver)?))
}

fn fill_node(description: In<FillNode>) -> impl FnOnce(&'static Driver) -> Outcome<Operation> {
    move |driver| Ok(Operation::Fill(description.get()?.resolve(driver)?))
}

fn copy_node(description: In<Description3>) -> impl FnOnce(&'static Driver) -> Outcome<Operation> {
    move |_| Ok(Operation::Copy(copy_of(description)?))
}

fn host_node(description: In<HostFunction>) -> impl FnOnce(&'static Driver) -> Outcome<Operation> {
    move |_| Ok(Operation::Host(host_of(description)?))
}

fn same_id(graph: Handle, target: Out<u32>) -> Outcome {
    driver()?.graphs.get(graph)?;
    target.set((graph >> 6) as u32)
}

api! {
    cuGraphCreate: (graph: Out<Handle>, _flags: u32) => driver().and_then(|driver| graph.set(Graph::create(driver).handle));
    cuGraphDestroy: (graph: Handle) => destroy(graph);
    cuGraphClone: (target: Out<Handle>, graph: Handle) => clone(target, graph);
    cuGraphNodeFindInClone: (target: Out<Handle>, node: Handle, graph: Handle) => find_in_clone(target, node, graph);
    cuGraphGetId: (graph: Handle, target: Out<u32>) => same_id(graph, target);
    cuGraphAddKernelNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, description: In<KernelNode>) =>
        add(node, graph, After(after, count), kernel_node(description));
    cuGraphAddKernelNode_v2: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, description: In<KernelNode2>) =>
        add(node, graph, After(after, count), kernel_node_2(description));
    cuGraphAddMemcpyNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, description: In<Description3>,
        _context: Handle) => add(node, graph, After(after, count), copy_node(description));
    cuGraphAddMemsetNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, description: In<FillNode>,
        _context: Handle) => add(node, graph, After(after, count), fill_node(description));
    cuGraphAddHostNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, description: In<HostFunction>) =>
        add(node, graph, After(after, count), host_node(description));
    cuGraphAddEmptyNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize) =>
        add(node, graph, After(after, count), |_| Ok(Operation::Empty));
    cuGraphAddChildGraphNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, child: Handle) =>
        add(node, graph, After(after, count), |driver| Ok(Operation::Child(driver.graphs.get(child)?)));
    cuGraphAddEventRecordNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, event: Handle) =>
        add(node, graph, After(after, count), |driver| Ok(Operation::Record(driver.events.get(event)?)));
    cuGraphAddEventWaitNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, event: Handle) =>
        add(node, graph, After(after, count), |driver| Ok(Operation::Wait(driver.events.get(event)?)));
    cuGraphAddNode: (node: Out<Handle>, graph: Handle, after: In<Handle>, count: usize, description: u64) =>
        add(node, graph, After(after, count), |driver| described(driver, description));
    cuGraphAddNode_v2: (node: Out<Handle>, graph: Handle, after: In<Handle>, _edges: u64, count: usize, description: u64) =>
        add(node, graph, After(after, count), |driver| described(driver, description));
    cuGraphAddDependencies: (graph: Handle, from: In<Handle>, to: In<Handle>, count: usize) =>
        change_edges(graph, from, to, count, true);
    cuGraphAddDependencies_v2: (graph: Handle, from: In<Handle>, to: In<Handle>, _edges: u64, count: usize) =>
        change_edges(graph, from, to, count, true);
    cuGraphRemoveDependencies: (graph: Handle, from: In<Handle>, to: In<Handle>, count: usize) =>
        change_edges(graph, from, to, count, false);
    cuGraphRemoveDependencies_v2: (graph: Handle, from: In<Handle>, to: In<Handle>, _edges: u64, count: usize) =>
        change_edges(graph, from, to, count, false);
    cuGraphGetNodes: (graph: Handle, nodes: Out<Handle>, count: Out<usize>) => get_nodes(graph, nodes, count);
    cuGraphGetEdges: (graph: Handle, from: Out<Handle>, to: Out<Handle>, count: Out<usize>) => get_edges(graph, from, to, count);
    cuGraphGetEdges_v2: (graph: Handle, from: Out<Handle>, to: Out<Handle>, _edges: u64, count: Out<usize>) =>
        get_edges(graph, from, to, count);
    cuGraphNodeGetType: (node: Handle, kind: Out<u32>) => at(node, |_, node| kind.set(node.operation.node_type()));
    cuGraphNodeGetContainingGraph: (node: Handle, graph: Out<Handle>) =>
        driver().and_then(|driver| graph.set(driver.nodes.get(node)?.graph.handle));
    cuGraphNodeGetDependencies: (node: Handle, nodes: Out<Handle>, count: Out<usize>) =>
        at(node, |_, node| answer_list(nodes, count, &node.after));
    cuGraphNodeGetDependencies_v2: (node: Handle, nodes: Out<Handle>, _edges: u64, count: Out<usize>) =>
        at(node, |_, node| answer_list(nodes, count, &node.after));
    cuGraphNodeGetDependentNodes: (node: Handle, nodes: Out<Handle>, count: Out<usize>) => dependents(node, nodes, count);
    cuGraphNodeGetDependentNodes_v2: (node: Handle, nodes: Out<Handle>, _edges: u64, count: Out<usize>) =>
        dependents(node, nodes, count);
    cuGraphDestroyNode: (node: Handle) => destroy_node(node);
    cuGraphKernelNodeGetParams: (node: Handle, target: Out<KernelNode>) => kernel_params(node, target);
    cuGraphKernelNodeGetParams_v2: (node: Handle, target: Out<KernelNode2>) => kernel_params_2(node, target);
    cuGraphKernelNodeSetParams: (node: Handle, description: In<KernelNode>) => replace(node, kernel_node(description));
    cuGraphKernelNodeSetParams_v2: (node: Handle, description: In<KernelNode2>) => replace(node, kernel_node_2(description));
    cuGraphMemcpyNodeGetParams: (node: Handle, target: Out<Description3>) => at(node, |_, node| target.set(copy_params(node)?));
    cuGraphMemcpyNodeSetParams: (node: Handle, description: In<Description3>) => replace(node, copy_node(description));
    cuGraphMemsetNodeGetParams: (node: Handle, target: Out<FillNode>) => at(node, |_, node| target.set(fill_params(node)?));
    cuGraphMemsetNodeSetParams: (node: Handle, description: In<FillNode>) => replace(node, fill_node(description));
    cuGraphHostNodeGetParams: (node: Handle, target: Out<HostFunction>) => at(node, |_, node| target.set(host_params(node)?));
    cuGraphHostNodeSetParams: (node: Handle, description: In<HostFunction>) => replace(node, host_node(description));
    cuGraphInstantiate_v2: (target: Out<Handle>, graph: Handle, _node: u64, _log: u64, _bytes: usize) =>
        instantiate(target, graph, 0);
    cuGraphInstantiateWithFlags: (target: Out<Handle>, graph: Handle, flags: u64) => instantiate(target, graph, flags);
    cuGraphInstantiateWithParams / cuGraphInstantiateWithParams_ptsz: (target: Out<Handle>, graph: Handle,
        parameters: Out<Instantiation>) => instantiate_with(target, graph, parameters);
    cuGraphExecGetFlags: (executable: Handle, flags: Out<u64>) =>
        driver().and_then(|driver| flags.set(driver.executables.get(executable)?.flags));
    cuGraphExecDestroy: (executable: Handle) => driver().and_then(|driver| driver.executables.remove(executable)).map(|_| ());
    cuGraphLaunch / cuGraphLaunch_ptsz: (executable: Handle, stream: Handle) => launch(executable, stream);
    cuGraphUpload / cuGraphUpload_ptsz: (executable: Handle, stream: Handle) =>
        stream::at(stream).and_then(|(driver, ..)| driver.executables.get(executable)).map(|_| ());
    cuGraphExecKernelNodeSetParams: (executable: Handle, node: Handle, description: In<KernelNode>) =>
        replace_in(executable, node, kernel_node(description));
    cuGraphExecKernelNodeSetParams_v2: (executable: Handle, node: Handle, description: In<KernelNode2>) =>
        replace_in(executable, node, kernel_node_2(description));
    cuGraphExecMemcpyNodeSetParams: (executable: Handle, node: Handle, description: In<Description3>, _context: Handle) =>
        replace_in(executable, node, copy_node(description));
    cuGraphExecMemsetNodeSetParams: (executable: Handle, node: Handle, description: In<FillNode>, _context: Handle) =>
        replace_in(executable, node, fill_node(description));
    cuGraphExecHostNodeSetParams: (executable: Handle, node: Handle, description: In<HostFunction>) =>
        replace_in(executable, node, host_node(description));
    cuGraphExecUpdate: (executable: Handle, graph: Handle, node: Out<Handle>, answer: Out<u32>) =>
        update_1(executable, graph, node, answer);
    cuGraphExecUpdate_v2: (executable: Handle, graph: Handle, answer: Out<UpdateResult>) => update_2(executable, graph, answer);
    cuGraphNodeSetEnabled: (executable: Handle, node: Handle, enabled: u32) => set_enabled(executable, node, enabled);
    cuGraphNodeGetEnabled: (executable: Handle, node: Handle, enabled: Out<u32>) => get_enabled(executable, node, enabled);
}
