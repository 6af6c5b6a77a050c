//! How the nodes of a graph are done: one after the other, in an order that their dependencies allow, while the checks see
//! which of them might as well have run at the same time.

use super::code::{Code, Outcome};
use super::context::Context;
use super::graph::{Graph, Node};
use super::operation::Operation;
use super::state::{Driver, Handle, merge};
use super::stream::new_number;
use crate::check::Order;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
struct Step {
    node: Handle,
    operation: Operation,
    /// Steps that come before, by their places.
    after: Vec<usize>,
    /// The line of steps that follow each other which this one continues.
    lane: usize,
    /// Its number in its lane, from 0.
    place: u64,
    enabled: bool,
}

/// A line of steps beside the first, which is the launching stream's own.
#[derive(Clone)]
struct Lane {
    number: u32,
    steps: u64,
    /// Operations of all launches so far.
    issued: Arc<AtomicU64>,
}

/// The steps of an executable.
#[derive(Clone)]
pub struct Plan {
    steps: Vec<Step>,
    first_lane: u64,
    side_lanes: Vec<Lane>,
}

/// One launch of a plan.
pub struct Run {
    plan: Arc<Plan>,
    /// The number of the last operation before this launch, for each side lane.
    starts: Vec<u64>,
}

impl Plan {
    /// The plan for a graph; graphs within it become part of it.
    pub fn of(graph: &Graph) -> Outcome<Plan> {
        let mut plan = Plan { steps: Vec::new(), first_lane: 0, side_lanes: Vec::new() };
        plan.append(graph, &[], 0)?;
        plan.assign_lanes();
        Ok(plan)
    }

    /// Adds the nodes of a graph behind the steps `before`; returns its last steps.
    fn append(&mut self, graph: &Graph, before: &[usize], depth: u32) -> Outcome<Vec<usize>> {
        const DEEPEST: u32 = 64;
        if depth > DEEPEST {
            return Err(Code::INVALID_VALUE);
        }
        let mut left: BTreeMap<Handle, Node> = graph.nodes().into_iter().collect();
        let mut placed: BTreeMap<Handle, usize> = BTreeMap::new();
        while !left.is_empty() {
            let ready = left.iter().find(|(_, node)| node.after.iter().all(|from| placed.contains_key(from)));
            let handle = *ready.ok_or(Code::INVALID_VALUE)?.0;
            let Some(node) = left.remove(&handle) else { return Err(Code::INVALID_VALUE) };
            let mut after: Vec<usize> = node.after.iter().map(|from| placed[from]).collect();
            if after.is_empty() {
                after = before.to_vec();
            }
            let mut operation = node.operation;
            if let Operation::Child(child) = &operation {
                after = self.append(child, &after, depth + 1)?;
                operation = Operation::Empty;
            }
            placed.insert(handle, self.steps.len());
            self.steps.push(Step { node: handle, operation, after, lane: 0, place: 0, enabled: true });
        }
        let inner: BTreeSet<usize> = placed.values().flat_map(|place| self.steps[*place].after.clone()).collect();
        let last: Vec<usize> = placed.into_values().filter(|place| !inner.contains(place)).collect();
        Ok(if last.is_empty() { before.to_vec() } else { last })
    }

    /// Continues the lane of a step that comes before where it ends there, else begins one.
    fn assign_lanes(&mut self) {
        let mut ends: Vec<Option<usize>> = vec![None];
        let mut lengths: Vec<u64> = vec![0];
        for index in 0..self.steps.len() {
            let ended = |lane: &Option<usize>| lane.is_none_or(|end| self.steps[index].after.contains(&end));
            let lane = ends.iter().position(ended).unwrap_or(ends.len());
            if lane == ends.len() {
                ends.push(None);
                lengths.push(0);
            }
            (self.steps[index].lane, self.steps[index].place) = (lane, lengths[lane]);
            ends[lane] = Some(index);
            lengths[lane] += 1;
        }
        self.first_lane = lengths[0];
        self.side_lanes = lengths[1..]
            .iter()
            .map(|steps| Lane { number: new_number(), steps: *steps, issued: Arc::default() })
            .collect();
    }

    /// What it does, in order.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.steps.iter().filter(|step| step.enabled).map(|step| &step.operation)
    }

    fn step(&mut self, node: Handle) -> Outcome<&mut Step> {
        self.steps.iter_mut().find(|step| step.node == node).ok_or(Code::INVALID_VALUE)
    }

    /// Replaces what a node does by something of the same kind.
    pub fn replace(&mut self, node: Handle, operation: Operation) -> Outcome {
        let step = self.step(node)?;
        if step.operation.node_type() != operation.node_type() {
            return Err(Code::INVALID_VALUE);
        }
        step.operation = operation;
        Ok(())
    }

    /// Turns a node on or off.
    pub fn enable(&mut self, node: Handle, enabled: bool) -> Outcome {
        let step = self.step(node)?;
        if !matches!(step.operation, Operation::Kernel(_) | Operation::Copy(_) | Operation::Fill(_)) {
            return Err(Code::INVALID_VALUE);
        }
        step.enabled = enabled;
        Ok(())
    }

    /// Whether a node is on.
    pub fn is_enabled(&self, node: Handle) -> Outcome<bool> {
        let step = self.steps.iter().find(|step| step.node == node).ok_or(Code::INVALID_VALUE)?;
        Ok(step.enabled)
    }

    /// The first difference to another plan that an update cannot bridge: its number in the interface, and the other
    /// plan's node.
    pub fn difference(&self, other: &Plan) -> Option<(u32, Handle)> {
        const TOPOLOGY: u32 = 2;
        const KIND: u32 = 3;
        if self.steps.len() != other.steps.len() {
            return Some((TOPOLOGY, 0));
        }
        self.steps.iter().zip(&other.steps).find_map(|(mine, theirs)| {
            let kinds = mine.operation.node_type() == theirs.operation.node_type();
            match (kinds, mine.after == theirs.after) {
                (false, _) => Some((KIND, theirs.node)),
                (_, false) => Some((TOPOLOGY, theirs.node)),
                _ => None,
            }
        })
    }

    /// Does from now on what another plan of the same shape does; nodes keep their handles.
    pub fn take_operations(&mut self, other: Plan) {
        for (mine, theirs) in self.steps.iter_mut().zip(other.steps) {
            mine.operation = theirs.operation;
        }
    }
}

impl Run {
    /// The next launch of a plan.
    pub fn of(plan: Arc<Plan>) -> Run {
        let starts = plan.side_lanes.iter().map(|lane| lane.issued.fetch_add(lane.steps, Ordering::AcqRel)).collect();
        Run { plan, starts }
    }

    /// How many operations of its stream it stands for.
    pub fn steps(&self) -> u64 {
        self.plan.first_lane.max(1)
    }

    /// Each side lane's number, and that of its last operation in this launch.
    pub fn side_lanes(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.plan.side_lanes.iter().zip(&self.starts).map(|(lane, start)| (lane.number, start + lane.steps))
    }

    /// When in time each step is, if the whole is at `order`.
    fn orders(&self, order: &Order) -> Vec<Order> {
        let mut orders: Vec<Order> = Vec::with_capacity(self.plan.steps.len());
        for step in &self.plan.steps {
            let (stream, sequence) = match step.lane.checked_sub(1) {
                None => (order.stream, order.sequence + step.place),
                Some(lane) => (self.plan.side_lanes[lane].number, self.starts[lane] + step.place + 1),
            };
            let mut after = order.after.clone();
            if stream != order.stream {
                merge(&mut after, &BTreeMap::new(), order.stream, order.sequence - 1);
            }
            for before in step.after.iter().map(|index| &orders[*index]) {
                merge(
                    &mut after,
                    &before.after,
                    before.stream,
                    if before.stream == stream { 0 } else { before.sequence },
                );
            }
            orders.push(Order { stream, sequence, after });
        }
        orders
    }

    /// Does all steps.
    pub fn run(&self, driver: &'static Driver, context: &Arc<Context>, order: &Order) -> Outcome {
        let steps = self.plan.steps.iter().zip(self.orders(order));
        steps.filter(|(step, _)| step.enabled).try_for_each(|(step, order)| step.operation.run(driver, context, &order))
    }
}
