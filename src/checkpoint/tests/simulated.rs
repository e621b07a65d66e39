//! A file system that keeps what was synced apart from what was not.
//!
//! After a loss of power, what was not synced has reached the disk in any part and any
//! order: each few bytes of a file are as they were at some moment since the last
//! sync, or nothing, or rubbish; each name stands for what it did at some moment. It
//! can run full, and fail, at any operation. After a sync that failed, the system
//! takes what it had for written, as Linux does: a later sync does not bring it back.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::checkpoint::files::{Files, OpenFile};

/// What goes wrong, at the operation of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process ends within it.
    Stop { at: usize },
    /// There is no room for this and the next `times - 1` operations.
    Full { at: usize, times: usize },
    /// It fails for another reason.
    Broken { at: usize },
}

/// The simulated folder; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Simulated {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
struct World {
    contents: Vec<Content>,
    names: Names,
    durable_names: Names,
    /// Since names were last synced.
    past_names: Vec<Names>,
    operations: usize,
    fault: Option<Fault>,
    random: u64,
}

type Names = BTreeMap<String, usize>;

/// The content of one file.
#[derive(Default)]
struct Content {
    current: Vec<u8>,
    /// Which bytes a sync would write.
    dirty: Vec<bool>,
    durable: Vec<u8>,
    /// Since it was last synced.
    past: Vec<Vec<u8>>,
}

struct Handle {
    content: usize,
    world: Arc<Mutex<World>>,
}

impl Simulated {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.world().fault = fault;
    }

    /// Operations so far that change something.
    pub(super) fn operations(&self) -> usize {
        self.world().operations
    }

    /// The power goes and comes again. With seed 0 nothing survives that was not
    /// synced, with seed 1 everything does.
    pub(super) fn lose_power(&self, seed: u64) {
        let mut world = self.world();
        world.fault = None;
        world.random = seed;
        world.lose_names(seed);
        for place in 0..world.contents.len() {
            world.lose_content(place, seed);
        }
    }

    /// The bytes of all files.
    pub(super) fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        let world = self.world();
        world
            .names
            .iter()
            .map(|(name, at)| (name.clone(), world.contents[*at].current.clone()))
            .collect()
    }

    /// A folder with these files, all of them durable.
    pub(super) fn of(files: &BTreeMap<String, Vec<u8>>) -> Simulated {
        let mut world = World::default();
        for (name, bytes) in files {
            world.names.insert(name.clone(), world.contents.len());
            world.contents.push(Content {
                current: bytes.clone(),
                dirty: vec![false; bytes.len()],
                durable: bytes.clone(),
                past: Vec::new(),
            });
        }
        world.durable_names = world.names.clone();
        Simulated { world: Arc::new(Mutex::new(world)) }
    }
}

/// How an operation ends.
enum Ending {
    Works,
    /// It may have done a part.
    Fails(io::Error),
    /// Likewise, and nobody is there to be told.
    Stops,
}

impl Ending {
    fn into_result(self) -> io::Result<()> {
        match self {
            Ending::Works => Ok(()),
            Ending::Fails(error) => Err(error),
            Ending::Stops => Err(io::Error::other("the process has ended")),
        }
    }
}

impl World {
    /// SplitMix64.
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn begin(&mut self) -> Ending {
        let now = self.operations;
        self.operations += 1;
        match self.fault {
            Some(Fault::Stop { at }) if now >= at => Ending::Stops,
            Some(Fault::Full { at, times }) if (at..at + times).contains(&now) => {
                Ending::Fails(io::ErrorKind::StorageFull.into())
            }
            Some(Fault::Broken { at }) if now == at => {
                Ending::Fails(io::Error::other("the disk is broken"))
            }
            _ => Ending::Works,
        }
    }

    /// Whether the process has ended: then nothing can be done any more.
    fn has_stopped(&self) -> bool {
        matches!(self.fault, Some(Fault::Stop { at }) if self.operations > at + 1)
    }

    fn change_names(&mut self, change: impl FnOnce(&mut Names)) {
        self.past_names.push(self.names.clone());
        change(&mut self.names);
    }

    fn lose_names(&mut self, seed: u64) {
        let mut moments = vec![self.durable_names.clone()];
        moments.append(&mut self.past_names);
        moments.push(self.names.clone());
        let all: Vec<String> = moments.iter().flat_map(BTreeMap::keys).cloned().collect();
        let mut left = Names::new();
        for name in all {
            let moment = match seed {
                0 => 0,
                1 => moments.len() - 1,
                _ => self.below(moments.len()),
            };
            if let Some(content) = moments[moment].get(&name) {
                left.entry(name).or_insert(*content);
            }
        }
        self.names = left.clone();
        self.durable_names = left;
    }

    fn lose_content(&mut self, place: usize, seed: u64) {
        let content = &mut self.contents[place];
        let mut moments = vec![content.durable.clone()];
        moments.append(&mut content.past);
        moments.push(content.current.clone());
        if moments.iter().all(|moment| *moment == moments[0]) {
            content.dirty.fill(false);
            return;
        }
        let shortest = moments.iter().map(Vec::len).min().unwrap_or(0);
        let longest = moments.iter().map(Vec::len).max().unwrap_or(0);
        let mut left = match seed {
            0 => moments[0].clone(),
            1 => moments[moments.len() - 1].clone(),
            _ => {
                let len = match self.below(3) {
                    0 => shortest + self.below(longest - shortest + 1),
                    _ => moments[self.below(moments.len())].len(),
                };
                vec![0; len]
            }
        };
        let mut start = 0;
        while seed > 1 && start < left.len() {
            let end = left.len().min(start + 1 + self.below(48));
            let moment = self.below(moments.len());
            let rubbish = [0, self.below(256) as u8][self.below(2)];
            for (at, byte) in left.iter_mut().enumerate().take(end).skip(start) {
                *byte = moments[moment].get(at).copied().unwrap_or(rubbish);
            }
            start = end;
        }
        let content = &mut self.contents[place];
        content.dirty = vec![false; left.len()];
        content.durable.clone_from(&left);
        content.current = left;
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.past.push(self.current.clone());
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
            self.dirty.resize(end, true);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.dirty[offset..end].fill(true);
    }

    fn truncate(&mut self, len: usize) {
        self.past.push(self.current.clone());
        self.current.resize(len, 0);
        self.dirty.resize(len, true);
    }

    fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for (at, dirty) in self.dirty.iter_mut().enumerate() {
            if std::mem::take(dirty) {
                self.durable[at] = self.current[at];
            }
        }
        self.past.clear();
    }
}

impl Simulated {
    fn handle(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        let world = self.world();
        if world.has_stopped() {
            return Err(io::Error::other("the process has ended"));
        }
        let content = *world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Handle { content, world: Arc::clone(&self.world) }))
    }
}

impl Files for Simulated {
    fn path(&self) -> &Path {
        Path::new("state")
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let world = self.world();
        let len = |content: &usize| world.contents[*content].current.len() as u64;
        Ok(world.names.iter().map(|(name, content)| (name.clone(), len(content))).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        let mut world = self.world();
        world.begin().into_result()?;
        if let Some(content) = world.names.get(name).copied() {
            world.contents[content].truncate(0);
        } else {
            let content = world.contents.len();
            world.contents.push(Content::default());
            world.change_names(|names| {
                names.insert(name.to_owned(), content);
            });
        }
        drop(world);
        self.handle(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        self.handle(name)
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        self.handle(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.begin().into_result()?;
        let content = *world.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        world.change_names(|names| {
            names.remove(from);
            names.insert(to.to_owned(), content);
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.begin().into_result()?;
        if !world.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change_names(|names| {
            names.remove(name);
        });
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut world = self.world();
        world.begin().into_result()?;
        world.durable_names = world.names.clone();
        world.past_names.clear();
        Ok(())
    }
}

/// How much of an operation on a content is done.
#[derive(Clone, Copy)]
enum Done {
    All,
    /// So many thousandths, then it fails.
    Failed(usize),
    /// So many thousandths, then the process ends.
    Stopped(usize),
}

impl Handle {
    /// Begins an operation that changes the content.
    fn change(&self, change: impl FnOnce(&mut Content, Done)) -> io::Result<()> {
        let mut world = self.world.lock().unwrap();
        let part = world.below(1_000);
        let ending = world.begin();
        let done = match ending {
            Ending::Works => Done::All,
            Ending::Fails(_) => Done::Failed(part),
            Ending::Stops => Done::Stopped(part),
        };
        if !world.has_stopped() {
            change(&mut world.contents[self.content], done);
        }
        ending.into_result()
    }
}

impl OpenFile for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.world.lock().unwrap().contents[self.content].current.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let world = self.world.lock().unwrap();
        let current = &world.contents[self.content].current;
        let from = offset as usize;
        let bytes = current.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(|content, done| {
            let written = match done {
                Done::All => bytes.len(),
                Done::Failed(part) | Done::Stopped(part) => bytes.len() * part / 1_000,
            };
            content.write(offset as usize, &bytes[..written]);
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.change(|content, done| match done {
            Done::All => content.truncate(len as usize),
            Done::Failed(_) | Done::Stopped(_) => {}
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.change(|content, done| match done {
            Done::All => content.sync(),
            Done::Failed(_) => content.dirty.fill(false),
            Done::Stopped(_) => {}
        })
    }
}
