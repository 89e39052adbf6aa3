//! The binary. What it is made of is listed in `lib.rs`, in layers.

fn main() -> std::process::ExitCode {
    lifecycle_exporter::run(std::env::args_os())
}
