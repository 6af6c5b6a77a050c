//! Choosing some of many labelled items.

use rand::seq::SliceRandom;

use crate::noise::{Address, PhiloxRng};

/// `count` places in `labels`, drawn without replacement at `address`: as many of each label as can be, each label's chosen at
/// random. All places where there are no more.
pub fn balanced_draw(labels: &[u8], count: usize, address: Address) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut PhiloxRng::new(address));
    let mut seen = [0usize; 256];
    let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(order.len());
    for item in order {
        let rank = &mut seen[usize::from(labels[item])];
        ranked.push((*rank, item));
        *rank += 1;
    }
    // First the first of each label, then the second of each, and so on.
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(count).map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Stream;

    #[test]
    fn a_draw_holds_as_many_of_each_label_as_can_be() {
        let labels: Vec<u8> = (0..1000).map(|i| if i < 3 { 9 } else { (i % 3) as u8 }).collect();
        let draw = |step| balanced_draw(&labels, 40, Address { seed: 1, stream: Stream::Shuffling, step });
        let first = draw(0);
        let count = |label| first.iter().filter(|i| labels[**i] == label).count();
        assert_eq!(count(9), 3);
        assert!((0..3).all(|label| (12..=13).contains(&count(label))));
        let mut distinct = first.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 40);
        assert_ne!(first, draw(1));
        assert_eq!(first, draw(0));
    }
}
