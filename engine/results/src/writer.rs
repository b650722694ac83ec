//! Tables as they are filled: row by row, a group of rows in memory at a time. A group that is full is written by a thread of its
//! own, while the next one fills.

use std::fs::File;
use std::io::BufWriter;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;

use crate::files::part;
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
    row: PhantomData<R>,
}

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
        let table = R::TABLE;
        let path = folder.join(table.file());
        let part = part(&path);
        let file = File::create(&part).map_err(Error::io(&part))?;
        let types: Result<Vec<_>, _> = (table.fields.iter())
            .map(|field| sheet::column_type(field.name, field.kind, field.nullable))
            .collect();
        let types = types.map_err(Error::parquet(&path))?;
        let mut about = vec![
            ("vpp.table".to_owned(), table.name.to_owned()),
            ("vpp.format".to_owned(), FORMAT.to_string()),
        ];
        let docs = table.fields.iter();
        about.extend(docs.map(|field| (format!("vpp.doc.{}", field.name), field.doc.to_owned())));
        let file = sheet::create(BufWriter::new(file), types, about);
        Ok(Writer {
            file: Some(Destination::Idle(file.map_err(Error::parquet(&path))?)),
            columns: empty::<R>(),
            path,
            rows: 0,
            row: PhantomData,
        })
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
        let mut file = self.idle()?;
        let mut rest = Ok(());
        if self.rows > 0 {
            self.rows = 0;
            rest = sheet::write_group(&mut file, &mut self.columns);
        }
        let closed = rest.and_then(|()| file.into_inner());
        let closed = closed.map_err(Error::parquet(&self.path));
        let closed = closed.and_then(|buffer| {
            buffer
                .into_inner()
                .map_err(|error| Error::io(&self.path)(error.into_error()))
        });
        closed.map(drop).inspect_err(|_| self.give_up())
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

fn empty<R: Row>() -> Vec<Column> {
    let fields = R::TABLE.fields.iter();
    fields
        .map(|field| Column::new(field.kind, field.nullable))
        .collect()
}

/// All tables of a run.
pub struct Tables {
    folder: PathBuf,
    /// The whole fleet, for each interval.
    pub system: Writer<System>,
    /// Each aggregator, for each interval.
    pub aggregators: Writer<Aggregator>,
    /// Each node of the electric tree, for each interval.
    pub nodes: Writer<Node>,
    /// Each station, for each interval; stays empty in runs of more than 31 days.
    pub stations: Writer<Station>,
    /// Each station, for each local day.
    pub station_days: Writer<StationDay>,
    /// What each event asked of whom, and got.
    pub events: Writer<Event>,
    /// The values of the regulation signal.
    pub regulation: Writer<Regulation>,
    /// Promises that came due.
    pub promises: Writer<Promise>,
    /// Who came and went, and what was expected.
    pub visits: Writer<Visits>,
    /// What the limits that bind cost.
    pub prices: Writer<Price>,
    /// Alarms.
    pub alarms: Writer<Alarm>,
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
            system: Writer::create(folder)?,
            aggregators: Writer::create(folder)?,
            nodes: Writer::create(folder)?,
            stations: Writer::create(folder)?,
            station_days: Writer::create(folder)?,
            events: Writer::create(folder)?,
            regulation: Writer::create(folder)?,
            promises: Writer::create(folder)?,
            visits: Writer::create(folder)?,
            prices: Writer::create(folder)?,
            alarms: Writer::create(folder)?,
        })
    }

    /// Makes all tables whole. An earlier run's summary goes first: a folder without one holds no run.
    ///
    /// # Errors
    /// When one cannot be written or renamed.
    pub fn finish(mut self) -> Result<(), Error> {
        self.system.close()?;
        self.aggregators.close()?;
        self.nodes.close()?;
        self.stations.close()?;
        self.station_days.close()?;
        self.events.close()?;
        self.regulation.close()?;
        self.promises.close()?;
        self.visits.close()?;
        self.prices.close()?;
        self.alarms.close()?;
        let summary = self.folder.join(SUMMARY_FILE);
        if let Err(error) = std::fs::remove_file(&summary)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Error::io(&summary)(error));
        }
        self.system.publish()?;
        self.aggregators.publish()?;
        self.nodes.publish()?;
        self.stations.publish()?;
        self.station_days.publish()?;
        self.events.publish()?;
        self.regulation.publish()?;
        self.promises.publish()?;
        self.visits.publish()?;
        self.prices.publish()?;
        self.alarms.publish()
    }
}
