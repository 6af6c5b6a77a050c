// finish: the end of a step that does not train.
//
// Shapes    those of finish.cuh
// Launch    grid 1, block 256
// Cost      8 bytes of global memory for each block that left a partial loss
// Bound     latency
// Order     that of finish.cuh: deterministic
// Idea      a step of training ends with Adam, whose last block does this; other steps need a launch for it
// Checked   tests/operations

#include "finish.cuh"

extern "C" __global__ void finish_step(Finish p) {
    finish(p);
}
