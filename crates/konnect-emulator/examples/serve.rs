//! A local Konnect for programs of any language, with the seed `demo`, until it is ended:
//! `cargo run -p konnect-emulator --example serve -- 127.0.0.1:8089`.

use std::{env, error::Error, future};

use konnect_emulator::{Emulator, Seed};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "that is what an example is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8089").parse()?;
    let konnect = Emulator::builder()
        .listen(address)
        .seed(Seed::demo())
        .start()
        .await?;
    println!("{} takes the token {}", konnect.url(), konnect.token());
    future::pending::<()>().await;
    Ok(())
}
