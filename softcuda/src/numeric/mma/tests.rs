//! Products of whole matrices against a plain triple loop.
use super::*;
