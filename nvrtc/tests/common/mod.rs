//! What the tests share.

use nvrtc::{Error, Nvrtc};

/// This machine's NVRTC. Without one, says that the test is skipped; a wrong `$LATENT_NVRTC` fails it.
pub fn nvrtc() -> Option<Nvrtc> {
    match Nvrtc::find() {
        Ok(nvrtc) => Some(nvrtc),
        Err(Error::NotFound { .. }) => {
            println!("skipped: NVRTC not found (./data-fetch.sh nvrtc brings it)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
