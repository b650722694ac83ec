//! Tables as they are filled: row by row, a group of rows in memory at a time. A group that is full is written by a thread of its
//! own, while the next one fills.
//!
//! Tables can be paused: their groups so far become a piece of the table, which has its end, and they can be taken up from there by
//! another process. A table in pieces is put together when it is finished; it has the same bytes as one that never paused.

use std::fs::File;
use std::io::BufWriter;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files::{is_piece, part, piece};
use crate::reader::Reader;
use crate::rows::{
    Aggregator, Alarm, Event, Node, Price, Promise, Regulation, Station, StationDay, System, Visits,
};
use crate::schema::Row;
use crate::sheet::{self, Column, Data};
use crate::summary::SUMMARY_FILE;
use crate::{Error, FORMAT};

/// Rows that are kept in memory for each table before they are written: a MiB or two.
pub const GROUP_ROWS: usize = 16_384;

type Sink = SerializedFileWriter<BufWriter<File>>;

/// Fills one table. Dropped before [`Writer::finish`], it leaves nothing.
pub struct Writer<R: Row> {
    path: PathBuf,
    /// `None` once it is whole, or given up.
    file: Option<Destination>,
    columns: Vec<Column>,
    rows: usize,
    /// What the pieces of it are that there are already.
    pieces: Vec<Digest>,
    row: PhantomData<R>,
}

/// SHA-256 of a file.
type Digest = [u8; 32];

/// A table that was paused: what its pieces are, and the rows that are in none.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Paused {
    pieces: Vec<Digest>,
    rows: usize,
    columns: Vec<Column>,
}

/// Tables that were paused ([`Tables::pause`]).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PausedTables(Vec<Paused>);

/// Where groups of rows go.
enum Destination {
    Idle(Sink),
    /// One is being written; the file comes back.
    Busy(JoinHandle<parquet::errors::Result<Sink>>),
}

impl Destination {
    /// Waits until nothing is being written.
    fn idle(self) -> parquet::errors::Result<Sink> {
        let panicked = |_| ParquetError::General("its writer panicked".to_owned());
        match self {
            Destination::Idle(file) => Ok(file),
            Destination::Busy(writing) => writing.join().map_err(panicked)?,
        }
    }
}

impl<R: Row> Writer<R> {
    /// Begins the table in a folder, under another name until it is whole.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(folder: &Path) -> Result<Writer<R>, Error> {
        let path = folder.join(R::TABLE.file());
        Ok(Writer {
            file: Some(Destination::Idle(begin::<R>(&path)?)),
            columns: empty::<R>(),
            path,
            rows: 0,
            pieces: Vec::new(),
            row: PhantomData,
        })
    }

    /// Takes up a table that was paused.
    fn resume(folder: &Path, paused: Paused) -> Result<Writer<R>, Error> {
        let mut writer = Writer::create(folder)?;
        for (number, known) in paused.pieces.iter().enumerate() {
            let path = piece(&writer.path, number);
            if digest(&path)? != *known {
                return Err(Error::io(&path)(std::io::Error::other("damaged")));
            }
        }
        (writer.pieces, writer.rows, writer.columns) = (paused.pieces, paused.rows, paused.columns);
        Ok(writer)
    }

    /// Makes what was written so far a piece, safe on the disk.
    fn pause(&mut self) -> Result<Paused, Error> {
        let file = self.idle()?;
        if file.flushed_row_groups().is_empty() {
            self.file = Some(Destination::Idle(file));
        } else {
            self.end_piece(file).inspect_err(|_| self.give_up())?;
        }
        Ok(Paused {
            pieces: self.pieces.clone(),
            rows: self.rows,
            columns: self.columns.clone(),
        })
    }

    /// Makes a file of whole groups a piece, and begins another one.
    fn end_piece(&mut self, file: Sink) -> Result<(), Error> {
        let written = end(file, &self.path)?;
        written.sync_all().map_err(Error::io(&self.path))?;
        self.pieces.push(digest(&part(&self.path))?);
        std::fs::rename(part(&self.path), piece(&self.path, self.pieces.len() - 1))
            .map_err(Error::io(&self.path))?;
        self.file = Some(Destination::Idle(begin::<R>(&self.path)?));
        Ok(())
    }

    /// The file with all that its pieces hold, in their order.
    fn together(&mut self, file: Sink) -> Result<Sink, Error> {
        if self.pieces.is_empty() {
            return Ok(file);
        }
        self.end_piece(file)?;
        let mut file = self.idle()?;
        for number in 0..self.pieces.len() {
            let mut reader = Reader::<R>::at(piece(&self.path, number))?;
            while let Some(mut columns) = reader.next_columns()? {
                sheet::write_group(&mut file, &mut columns).map_err(Error::parquet(&self.path))?;
            }
        }
        Ok(file)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When a number is not finite, or an earlier group could not be written: the table cannot be finished then.
    pub fn push(&mut self, row: R) -> Result<(), Error> {
        row.put(&mut self.columns);
        let fields = R::TABLE.fields.iter();
        for (field, column) in fields.zip(&self.columns) {
            if let Data::Number(values) = &column.data
                && let Some(&value) = values.last()
                && !value.is_finite()
            {
                self.give_up();
                let (table, column) = (R::TABLE.name, field.name);
                return Err(Error::NotFinite {
                    table,
                    column,
                    value,
                });
            }
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let mut file = self.idle()?;
        self.rows = 0;
        let mut columns = std::mem::replace(&mut self.columns, empty::<R>());
        let writing = thread::Builder::new()
            .name("vpp-table".to_owned())
            .spawn(move || {
                sheet::write_group(&mut file, &mut columns)?;
                Ok(file)
            });
        let writing = writing.map_err(Error::io(&self.path));
        self.file = Some(Destination::Busy(writing.inspect_err(|_| self.give_up())?));
        Ok(())
    }

    /// The file, once nothing is being written to it.
    fn idle(&mut self) -> Result<Sink, Error> {
        let Some(file) = self.file.take() else {
            return Err(self.gone());
        };
        file.idle()
            .map_err(Error::parquet(&self.path))
            .inspect_err(|_| self.give_up())
    }

    /// Makes the table whole. Until then there is none, or the one of an earlier run.
    ///
    /// # Errors
    /// When it cannot be written or renamed.
    pub fn finish(mut self) -> Result<(), Error> {
        self.close()?;
        self.publish()
    }

    /// Writes what is left; the file is whole then, but not yet under its name.
    fn close(&mut self) -> Result<(), Error> {
        let file = self.idle()?;
        self.close_file(file).inspect_err(|_| self.give_up())
    }

    fn close_file(&mut self, file: Sink) -> Result<(), Error> {
        let mut file = self.together(file)?;
        if self.rows > 0 {
            self.rows = 0;
            sheet::write_group(&mut file, &mut self.columns).map_err(Error::parquet(&self.path))?;
        }
        end(file, &self.path).map(drop)
    }

    fn publish(self) -> Result<(), Error> {
        std::fs::rename(part(&self.path), &self.path).map_err(Error::io(&self.path))
    }

    fn gone(&self) -> Error {
        Error::io(&self.path)(std::io::Error::other("given up after an error before"))
    }

    fn give_up(&mut self) {
        if let Some(file) = self.file.take() {
            // Nobody makes the file anew after it is removed.
            let _ = file.idle();
        }
        // Whatever is there of it is of no use.
        let _ = std::fs::remove_file(part(&self.path));
    }
}

impl<R: Row> Drop for Writer<R> {
    fn drop(&mut self) {
        if self.file.is_some() {
            self.give_up();
        }
    }
}

fn digest(path: &Path) -> Result<Digest, Error> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(Error::io(path))?;
    Ok(hash.finalize().into())
}

/// Begins the file of a table, under another name until it is whole.
fn begin<R: Row>(path: &Path) -> Result<Sink, Error> {
    let table = R::TABLE;
    let part = part(path);
    let file = File::create(&part).map_err(Error::io(&part))?;
    let types: Result<Vec<_>, _> = (table.fields.iter())
        .map(|field| sheet::column_type(field.name, field.kind, field.nullable))
        .collect();
    let types = types.map_err(Error::parquet(path))?;
    let mut about = vec![
        ("vpp.table".to_owned(), table.name.to_owned()),
        ("vpp.format".to_owned(), FORMAT.to_string()),
    ];
    let docs = table.fields.iter();
    about.extend(docs.map(|field| (format!("vpp.doc.{}", field.name), field.doc.to_owned())));
    sheet::create(BufWriter::new(file), types, about).map_err(Error::parquet(path))
}

/// Ends a file; all of it is with the system then.
fn end(file: Sink, path: &Path) -> Result<File, Error> {
    let buffer = file.into_inner().map_err(Error::parquet(path))?;
    buffer
        .into_inner()
        .map_err(|error| Error::io(path)(error.into_error()))
}

fn empty<R: Row>() -> Vec<Column> {
    let fields = R::TABLE.fields.iter();
    fields
        .map(|field| Column::new(field.kind, field.nullable))
        .collect()
}

macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident: $row:ty,)*) => {
        /// All tables of a run.
        pub struct Tables {
            folder: PathBuf,
            $($(#[$doc])* pub $table: Writer<$row>,)*
        }

        impl Tables {
            /// Begins all tables in a folder, which is made if it is not there. What an earlier run left in it stays until
            /// [`Tables::finish`].
            ///
            /// # Errors
            /// When the folder or a file cannot be made.
            pub fn create(folder: &Path) -> Result<Tables, Error> {
                std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
                Ok(Tables {
                    folder: folder.to_owned(),
                    $($table: Writer::create(folder)?,)*
                })
            }

            /// Makes what is in the tables so far safe, so that another process can go on from here. They go on as well.
            ///
            /// # Errors
            /// When a piece cannot be written.
            pub fn pause(&mut self) -> Result<PausedTables, Error> {
                Ok(PausedTables(vec![$(self.$table.pause()?),*]))
            }

            /// Takes up tables that were paused in a folder.
            ///
            /// # Errors
            /// When a piece of them is not there or damaged, or a file cannot be made.
            pub fn resume(folder: &Path, paused: PausedTables) -> Result<Tables, Error> {
                let mut paused = paused.0.into_iter();
                let mut next = || {
                    let missing = || Error::io(folder)(std::io::Error::other("a table is missing"));
                    paused.next().ok_or_else(missing)
                };
                Ok(Tables {
                    folder: folder.to_owned(),
                    $($table: Writer::resume(folder, next()?)?,)*
                })
            }

            /// Removes what pausing left in a folder.
            ///
            /// # Errors
            /// When a piece cannot be removed.
            pub fn remove_pieces(folder: &Path) -> Result<(), Error> {
                let names = [$(<$row as Row>::TABLE.file()),*];
                for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
                    let path = entry.map_err(Error::io(folder))?.path();
                    if names.iter().any(|name| is_piece(&path, &folder.join(name))) {
                        std::fs::remove_file(&path).map_err(Error::io(&path))?;
                    }
                }
                Ok(())
            }

            /// Makes all tables whole. An earlier run's summary goes first: a folder without one holds no run.
            ///
            /// # Errors
            /// When one cannot be written or renamed.
            pub fn finish(mut self) -> Result<(), Error> {
                $(self.$table.close()?;)*
                let summary = self.folder.join(SUMMARY_FILE);
                if let Err(error) = std::fs::remove_file(&summary)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    return Err(Error::io(&summary)(error));
                }
                $(self.$table.publish()?;)*
                Ok(())
            }
        }
    };
}

tables! {
    /// The whole fleet, for each interval.
    system: System,
    /// Each aggregator, for each interval.
    aggregators: Aggregator,
    /// Each node of the electric tree, for each interval.
    nodes: Node,
    /// Each station, for each interval; stays empty in runs of more than 31 days.
    stations: Station,
    /// Each station, for each local day.
    station_days: StationDay,
    /// What each event asked of whom, and got.
    events: Event,
    /// The values of the regulation signal.
    regulation: Regulation,
    /// Promises that came due.
    promises: Promise,
    /// Who came and went, and what was expected.
    visits: Visits,
    /// What the limits that bind cost.
    prices: Price,
    /// Alarms.
    alarms: Alarm,
}
