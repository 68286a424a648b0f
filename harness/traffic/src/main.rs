//! A client that asks one server at a steady rate and writes down every answer, as a line of JSON: whoever changes a mesh
//! meanwhile sees from it what its users would have noticed, and when.
//!
//! It runs inside a pod of the mesh, behind its sidecar, put there by the scenario that needs it: no image of any source has
//! it, and so every source does. Requests leave at their times, whether or not earlier ones were answered: a server that
//! hangs makes no pause in the count. It tries nothing twice. It ends by itself after its time, or when its input does.

mod ask;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use ask::{Client, Connection};
use told::Told;

/// More is no trickle that a mesh carries beside its work, but a load test.
const EACH_SECOND: std::ops::RangeInclusive<u64> = 1..=100;
/// No change of a mesh that is watched takes longer.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=900;
/// Requests on their way at once: as many as the highest rate makes until the first of them is given up.
const AT_ONCE: usize = 1500;

/// What it is told: `ADDRESS HOST new|kept EACH_SECOND SECONDS`.
struct Order {
    client: Client,
    each_second: u64,
    seconds: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match Order::read(&words) {
        Ok(order) => {
            run(order).await;
            std::process::ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}\nusage: traffic ADDRESS:PORT HOST new|kept EACH_SECOND SECONDS");
            std::process::ExitCode::from(2)
        }
    }
}

impl Order {
    fn read(words: &[String]) -> Result<Self, String> {
        let [address, host, connection, each_second, seconds] = words else {
            return Err(format!("five words are needed, and there are {}", words.len()));
        };
        let address: SocketAddr =
            address.parse().map_err(|_| format!("`{address}` is no address and port"))?;
        let connection = match connection.as_str() {
            "new" => Connection::New,
            "kept" => Connection::Kept,
            other => return Err(format!("`{other}` is neither new nor kept")),
        };
        let client = Client::of(address, host.clone(), connection);
        let each_second = number(each_second, &EACH_SECOND)?;
        Ok(Self { client, each_second, seconds: number(seconds, &SECONDS)? })
    }
}

fn number(word: &str, bounds: &std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let (least, most) = bounds.clone().into_inner();
    let read = word.parse().ok().filter(|number| bounds.contains(number));
    read.ok_or_else(|| format!("`{word}` is no number from {least} to {most}"))
}

async fn run(order: Order) {
    let (lines, written) = mpsc::unbounded_channel();
    let writer = tokio::task::spawn_blocking(move || told::write(written));
    let asking = Arc::new(AtomicUsize::new(0));
    let client = Arc::new(order.client);
    let mut ticks = interval(Duration::from_micros(1_000_000 / order.each_second));
    // What was late is asked at once: the count stays what was ordered.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + Duration::from_secs(order.seconds);
    let mut closed = input_closed();
    loop {
        tokio::select! {
            () = sleep_until(end) => break,
            _ = &mut closed => break,
            _ = ticks.tick() => {}
        }
        if asking.load(Ordering::Relaxed) >= AT_ONCE {
            let _ = lines.send(Told::unsent(AT_ONCE));
            continue;
        }
        let (client, asking, lines) = (client.clone(), asking.clone(), lines.clone());
        asking.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let _ = lines.send(client.ask().await);
            asking.fetch_sub(1, Ordering::Relaxed);
        });
    }
    // Those on their way hold the other ends; each has a limit of its own.
    drop(lines);
    let _ = writer.await;
}

/// Whoever started it is gone, or wants no more. A thread of its own reads, which keeps nobody from ending.
fn input_closed() -> oneshot::Receiver<()> {
    let (closed, hears) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    hears
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Order, String> {
        Order::read(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_has_no_bound_is_refused() {
        let order = read("10.0.0.1:5000 hello.motion new 25 300").unwrap();
        assert_eq!((order.each_second, order.seconds), (25, 300));
        for (words, why) in [
            ("10.0.0.1:5000 hello.motion new 25", "five words are needed, and there are 4"),
            ("hello:5000 hello.motion new 25 300", "`hello:5000` is no address and port"),
            ("10.0.0.1:5000 hello.motion old 25 300", "`old` is neither new nor kept"),
            ("10.0.0.1:5000 hello.motion kept 101 300", "`101` is no number from 1 to 100"),
            ("10.0.0.1:5000 hello.motion kept 0 300", "`0` is no number from 1 to 100"),
            ("10.0.0.1:5000 hello.motion kept 25 901", "`901` is no number from 1 to 900"),
        ] {
            assert_eq!(read(words).err().unwrap(), why);
        }
    }
}
