//! `devices --listing`: who decides about devices in version 2?
//!
//! A program. Here it is shown, for the list that Docker has, and loaded: any kernel that can
//! do this will check it, whatever hierarchies are mounted. Then one with a mistake is loaded,
//! to see that the check is one.

use devices::program::{Line, assemble, compile};
use devices::{DEFAULT, bpf};
use nix::errno::Errno;
use stage::{Evidence, Result, Stage, Verdict};

/// The question is twelve bytes long: this would read what lies behind it.
const MISTAKE: &str = "ldxw r0, [r1+12]";

pub fn play(stage: &Stage) -> Result<Verdict> {
    let program = compile(&DEFAULT);
    for (number, Line { code, remark }) in program.iter().enumerate() {
        let remark = if remark.is_empty() { "" } else { &format!("; {remark}") };
        let line = format!("{code:<18} {remark}");
        stage.look("program").fact(&number.to_string(), line.trim_end());
    }
    let claim = "the kernel takes a program that it can follow, and no other";
    let loaded = load(stage, &program)?;
    if loaded == Err(Errno::EINVAL) {
        let why = "this kernel was built without CONFIG_CGROUP_BPF";
        return Ok(Verdict::on(claim).skip("to load a program", why));
    }
    let good = look(stage, loaded);
    stage.note(&format!("now with `{MISTAKE}` before line 0"));
    let mistake = Line { code: MISTAKE.to_string(), remark: String::new() };
    let mistaken: Vec<Line> = [mistake].into_iter().chain(program).collect();
    let bad = look(stage, load(stage, &mistaken)?);
    stage.gap();
    Ok(Verdict::on(claim).equal("the program", "taken", &good["program"]).equal(
        "the same with a mistake",
        "EACCES",
        &bad["program"],
    ))
}

fn look(stage: &Stage, answer: nix::Result<()>) -> Evidence {
    let answer = answer.map_or_else(|it| format!("{it:?}"), |()| "taken".to_string());
    stage.look("kernel").fact("program", answer).end()
}

/// Load it and drop it: the kernel's errno if it is not a program for it.
fn load(stage: &Stage, program: &[Line]) -> Result<nix::Result<()>> {
    match bpf::load(stage, &assemble(program)?).map(drop) {
        Ok(()) => Ok(Ok(())),
        Err(error) => match error.errno() {
            Some(errno @ (Errno::EINVAL | Errno::EACCES)) => Ok(Err(errno)),
            // Not the program's fault.
            _ => Err(error),
        },
    }
}
