//! Errors against series, and special values.
use super::*;
