//! Images and labels: IDX files, drawn digits, sets.
