#ifndef SIMULATION_RUNTIME_H
#define SIMULATION_RUNTIME_H

#include <stdint.h>

/// Hands every job of Swift's concurrency that has no executor of its own to `enqueue`, from now on and for good.
///
/// Also makes all random numbers of this process those of `simulation_seed`.
void simulation_begin(void (*enqueue)(void *job));

/// Runs a job that `enqueue` was given, on this thread, until it waits or ends.
void simulation_run(void *job);

/// Starts the random numbers of this process anew.
void simulation_seed(uint64_t seed);

#endif
