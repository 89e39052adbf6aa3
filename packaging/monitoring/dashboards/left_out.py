"""Metrics that are on no panel, and why. A test knows all others."""

LEFT_OUT = {
    "process_threads": "The number of threads is fixed.",
    "process_virtual_memory_bytes": "Address space costs nothing; the memory that is used is process_resident_memory_bytes.",
}
