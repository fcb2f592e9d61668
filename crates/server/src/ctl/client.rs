//! The other side of the socket.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::{LONGEST_REPLY, Question, Reply};

/// Asks the bridge whose socket this is, and waits for as long as it takes.
pub async fn ask(socket: &Path, question: &Question) -> io::Result<Reply> {
    let (reader, mut writer) = UnixStream::connect(socket).await?.into_split();
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    let mut text = Vec::new();
    BufReader::new(reader.take(LONGEST_REPLY as u64)).read_until(b'\n', &mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}
