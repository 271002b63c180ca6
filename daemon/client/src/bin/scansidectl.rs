//! The command line client.

fn main() -> std::process::ExitCode {
    scanside_client::ctl::main()
}
