//! `partyline directory`: what the database holds of the directory, and rows from files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use super::Output;
use super::store::{Database, Failure, run as run_store};
use super::table::Table;
use crate::config::Sources;
use crate::store::{
    BRIDGES, Cell, ENTITIES, Entity, Import, Kind, MEETINGS, NUMBERS, ORGANIZERS, Step, Store, shown,
};

/// What is asked.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    database: Database,
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Add and change rows as a file says: all of them, or none when anything is wrong.
    Import {
        /// CSV with a line of column names, or JSON with a list for each table.
        file: PathBuf,
        /// Only say what would change.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take rows away: all that are named, or none when something still refers to one of them.
    Rm {
        /// Of this table.
        table: Which,
        /// The tenant of a bridge, the number, the id of an organizer, or the conference ID.
        #[arg(required = true)]
        keys: Vec<String>,
        /// Only say what would go.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the rows of the database.
    Ls {
        /// Only this table.
        table: Option<Which>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    #[value(alias = "bridge")]
    Bridges,
    #[value(alias = "number")]
    Numbers,
    #[value(alias = "organizer")]
    Organizers,
    #[value(alias = "meeting")]
    Meetings,
}

impl Which {
    fn entity(self) -> &'static Entity {
        match self {
            Self::Bridges => &BRIDGES,
            Self::Numbers => &NUMBERS,
            Self::Organizers => &ORGANIZERS,
            Self::Meetings => &MEETINGS,
        }
    }
}

/// Exit 0 when it is done, 1 when the database fails, 2 when something is wrong with what was asked.
pub(super) fn run(options: Options) -> ExitCode {
    let job = options.job;
    run_store(&options.database.config, async |store, sources, _| match job {
        Job::Import { file, dry_run } => import(&store, &sources, &file, dry_run).await,
        Job::Rm { table, keys, dry_run } => remove(&store, &sources, table.entity(), &keys, dry_run).await,
        Job::Ls { table, output } => list(&store, table, output.is_json()).await,
    })
}

async fn import(
    store: &Store,
    sources: &Sources,
    file: &std::path::Path,
    dry_run: bool,
) -> Result<(), Failure> {
    let import = Import::read(file)?;
    let mut change = store.begin().await?;
    let (rows, steps) = import.apply(&mut change).await?;
    sources.build(&rows)?;
    if dry_run {
        tell(&steps);
        say!("nothing was changed: --dry-run");
        return Ok(());
    }
    if steps.iter().any(|step| step.changes.as_ref().is_none_or(|changes| !changes.is_empty())) {
        change.commit().await?;
    }
    say!("{}: {}", file.display(), counted(&steps));
    Ok(())
}

async fn remove(
    store: &Store,
    sources: &Sources,
    entity: &'static Entity,
    keys: &[String],
    dry_run: bool,
) -> Result<(), Failure> {
    let mut change = store.begin().await?;
    let rows = change.rows().await?;
    for key in keys {
        if rows.find(entity, key).is_none() {
            return Err(Failure::Asked(format!(
                "the database has no row {key:?} in {}: `partyline directory ls {}` shows those it has; what stands in the \
                 configuration's file goes there",
                entity.name, entity.name
            )));
        }
        change.remove(entity, key).await?;
    }
    let left = change.rows().await?;
    if let Err(problems) = sources.build(&left) {
        remark!(
            "something still refers to what would go: give it something else (`partyline directory import`), or take it away \
             first (`partyline directory rm`)"
        );
        return Err(problems.into());
    }
    for key in keys {
        say!("{} {key}", if dry_run { "would go:" } else { "gone:" });
    }
    if dry_run {
        say!("nothing was changed: --dry-run");
        return Ok(());
    }
    Ok(change.commit().await?)
}

fn tell(steps: &[Step]) {
    let mut table = Table::new(&["change", "table", "key", "column", "from", "to"]);
    let row = |table: &mut Table, words: [&str; 6]| table.row(&words.map(str::to_owned));
    for step in steps {
        match &step.changes {
            None => row(&mut table, ["add", step.table, &step.key, "", "", ""]),
            Some(changes) => {
                for (column, from, to) in changes {
                    row(&mut table, ["change", step.table, &step.key, column, from, to]);
                }
            }
        }
    }
    table.print();
    say!("{}", counted(steps));
}

fn counted(steps: &[Step]) -> String {
    let count = |is: fn(&Step) -> bool| steps.iter().filter(|step| is(step)).count();
    let added = count(|step| step.changes.is_none());
    let same = count(|step| step.changes.as_ref().is_some_and(Vec::is_empty));
    format!("{added} added, {} changed, {same} as they were", steps.len() - added - same)
}

async fn list(store: &Store, which: Option<Which>, json: bool) -> Result<(), Failure> {
    let rows = store.rows().await?;
    let wanted = |entity: &&&'static Entity| which.is_none_or(|which| which.entity().name == entity.name);
    let mut all = Map::new();
    for &entity in ENTITIES.iter().filter(wanted) {
        if json {
            let objects = rows.of(entity).map(|cells| object(entity, cells)).collect();
            all.insert(entity.name.to_owned(), Value::Array(objects));
            continue;
        }
        let filled = |at: usize| rows.of(entity).any(|cells| !matches!(cells[at], Cell::Nothing(_)));
        let columns: Vec<usize> = (0..entity.columns.len()).filter(|&at| at == 0 || filled(at)).collect();
        let mut table = Table::new(&columns.iter().map(|&at| entity.columns[at].name).collect::<Vec<_>>());
        for cells in rows.of(entity) {
            table.row(&columns.iter().map(|&at| shown(&entity.columns[at], &cells[at])).collect::<Vec<_>>());
        }
        say!("{}: {}", entity.name, rows.of(entity).count());
        table.print();
    }
    if json {
        say!("{}", Value::Object(all));
    }
    Ok(())
}

/// A row as `import` reads it; of a PIN's hash only whether there is one.
fn object(entity: &Entity, cells: &[Cell]) -> Value {
    let value = |column: &crate::store::Column, cell: &Cell| match (column.kind, cell) {
        (_, Cell::Nothing(_)) => Value::Null,
        (_, Cell::Text(_)) if column.name == "pin_hash" => Value::from("set"),
        (Kind::Switch, Cell::Whole(number)) => Value::from(*number != 0),
        (Kind::List, Cell::Text(text)) => text.split(';').map(str::trim).collect(),
        (_, Cell::Whole(number)) => Value::from(*number),
        (_, Cell::Text(text)) => Value::from(text.as_str()),
    };
    let pairs = entity.columns.iter().zip(cells);
    Value::Object(pairs.map(|(column, cell)| (column.name.to_owned(), value(column, cell))).collect())
}
