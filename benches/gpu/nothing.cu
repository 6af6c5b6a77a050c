// nothing: a kernel that does nothing, for what the clock shows of a launch itself.
//
// Shapes    none
// Launch    grid 1, block 32
// Cost      none
// Bound     the time of a launch
// Order     none
// Idea      no kernel can be shorter than this one
// Checked   nothing to check

extern "C" __global__ void nothing() {}
