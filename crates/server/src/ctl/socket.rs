//! The socket itself: who may open it, how many at once, for how long.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Answers, LONGEST_QUESTION, Question, Reply};

/// Connections at once; more wait to be accepted.
const AT_ONCE: usize = 16;
/// A connection that asks nothing, or does not read, for so long is closed.
const IDLE: Duration = Duration::from_mins(1);
/// Connections that the kernel keeps for us.
const BACKLOG: u32 = 16;

/// The open socket; its file goes with it.
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
}

/// Binds the socket with mode 0600 from the start, and answers from then on what `answers` can answer.
///
/// A socket that a killed bridge has left is replaced; one that a running bridge answers on is not.
pub async fn bind(path: &Path, answers: Answers) -> io::Result<Control> {
    let said = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    make_way(path).await.map_err(said)?;
    let listener = listen(path).map_err(said)?;
    let task = tokio::spawn(accept(listener, Arc::new(answers)));
    Ok(Control { path: path.to_owned(), task })
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // Nobody waits for it any more; what cannot be removed is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn make_way(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if !there.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"))
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another bridge answers here"))
        }
        Ok(_) => std::fs::remove_file(path),
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    // Before it has a name: Linux gives the name the mode of the socket, so that there is no moment at which others may open
    // it (unix(7): connecting needs the right to write).
    let handle = std::fs::File::from(socket.as_fd().try_clone_to_owned()?);
    handle.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    socket.bind(path)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: UnixListener, answers: Arc<Answers>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: wait for one to come back instead of spinning.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // Whoever is gone needs no answer.
            let _ = serve(stream, &answers).await;
            drop(place);
        });
    }
}

async fn serve(stream: UnixStream, answers: &Answers) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut question = (&mut reader).take(LONGEST_QUESTION as u64 + 1);
        timeout(IDLE, question.read_until(b'\n', &mut line)).await??;
        if line.is_empty() {
            return Ok(());
        }
        let whole = line.len() <= LONGEST_QUESTION;
        let reply = match serde_json::from_slice::<Question>(&line) {
            Ok(question) if whole => answers.answer(question).await,
            Err(error) if whole => Reply::refusal(400, format!("not a question: {error}")),
            Ok(_) | Err(_) => Reply::refusal(400, "a question longer than 2 MiB"),
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        timeout(IDLE, writer.write_all(&text)).await??;
        if !whole {
            return Ok(());
        }
    }
}
