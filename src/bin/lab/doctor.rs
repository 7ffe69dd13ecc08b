//! Will the lessons run on this machine?

use fakedocker::machine::{self, Finding, tools, tools::Manager};
use serde::Serialize;
use stage::{Error, Result, UNTRIED, tell};

use crate::lessons::{self, Lesson};
use crate::needs;
use crate::questions::Questions;
use crate::student;

/// All that is known, as `--json` tells it.
#[derive(Serialize)]
struct Report {
    findings: Vec<Finding>,
    /// What to type to install what is missing.
    install: Option<String>,
    lessons: Vec<Fitness>,
}

/// Whether a lesson runs here.
#[derive(Serialize)]
struct Fitness {
    number: u32,
    name: String,
    runs: bool,
    /// Why not.
    lacks: Vec<String>,
}

/// Tell what the machine has and lacks. True if all lessons run.
pub fn doctor(json: bool) -> Result<bool> {
    let report = examine()?;
    if json {
        tell(serde_json::to_string_pretty(&report).map_err(Error::input)?)?;
    } else {
        report.tell()?;
    }
    Ok(report.lessons.iter().all(|lesson| lesson.runs))
}

/// Refuse what this machine cannot try, with the exit status of a lesson that it cannot try.
pub fn admit(needs: &[String]) -> Result<()> {
    let mut findings = machine::needed(student::caller());
    findings.extend(tools::look().0);
    let lacks = needs::lacks(needs, &findings)?;
    if lacks.is_empty() {
        return Ok(());
    }
    let error =
        Error::input(format!("not tried: this machine lacks {}", lacks.join("; ")));
    Err(error.hint("lab doctor says what to do about it").status(UNTRIED))
}

fn examine() -> Result<Report> {
    let (tools, packages) = tools::look();
    let mut findings = machine::needed(student::caller());
    findings.extend(machine::wanted().into_iter().chain(tools).chain([cargo()]));
    let fitness = |lesson| Fitness::of(lesson, &findings);
    let lessons = lessons::all()?.into_iter().map(fitness).collect::<Result<_>>()?;
    let install = (!packages.is_empty()).then(|| match Manager::here() {
        Some(manager) => manager.command(&packages),
        None => format!("install the packages that have: {}", packages.join(" ")),
    });
    Ok(Report { findings, install, lessons })
}

/// The student's own: it comes by rustup, and is in no path of root's.
fn cargo() -> Finding {
    let version = student::command("cargo").arg("--version").output();
    let version = version.ok().filter(|output| output.status.success());
    let seen = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    Finding {
        topic: "tools",
        name: "cargo".into(),
        works: Some(seen.is_some()),
        advice: seen.is_none().then(|| "see https://rustup.rs".into()),
        seen: format!(
            "{}, for exercises in Rust",
            seen.as_deref().unwrap_or("missing").trim()
        ),
    }
}

impl Fitness {
    fn of(lesson: Lesson, findings: &[Finding]) -> Result<Fitness> {
        let lacks = needs::lacks(&Questions::read(&lesson.questions())?.needs, findings)?;
        let number = lesson.number.parse().unwrap_or_default();
        Ok(Fitness { number, name: lesson.name, runs: lacks.is_empty(), lacks })
    }
}

impl Report {
    fn tell(&self) -> Result<()> {
        let mut topic = "";
        for finding in &self.findings {
            if finding.topic != topic {
                tell(format!(
                    "{}{}",
                    if topic.is_empty() { "" } else { "\n" },
                    finding.topic
                ))?;
                topic = finding.topic;
            }
            let mark = finding.works.map_or("·", |works| if works { "✓" } else { "✗" });
            tell(format!("  {mark} {:<15} {}", finding.name, finding.seen))?;
            finding.advice.iter().try_for_each(|text| tell(format!("      {text}")))?;
        }
        if let Some(install) = &self.install {
            tell(format!("\nto install what is missing:\n  {install}"))?;
        }
        self.tell_lessons()
    }

    fn tell_lessons(&self) -> Result<()> {
        let (able, unable): (Vec<_>, Vec<_>) =
            self.lessons.iter().partition(|it| it.runs);
        tell("\nlessons")?;
        for lesson in &unable {
            let why = lesson.lacks.join("; ");
            tell(format!("  ✗ {:>2}  {:<11} {why}", lesson.number, lesson.name))?;
        }
        let (able, all) = (able.len(), self.lessons.len());
        if unable.is_empty() {
            return tell(format!("  ✓ all {all} lessons run here"));
        }
        tell(format!("  {able} of {all} lessons run here"))?;
        tell("  scripts/lab-vm.sh starts a machine in which all of them do")
    }
}
