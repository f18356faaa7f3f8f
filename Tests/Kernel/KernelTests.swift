import Testing

/// All tests that load programs or boot machines: one after another, since each wants the processors for itself.
@Suite(.serialized) enum KernelTests {}
