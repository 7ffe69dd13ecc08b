//! How does a profile become a program for the kernel?
//!
//! In the language of packet filters (BPF), which has comparisons and jumps forward, and so
//! always ends. It finds the call's number, its arguments and the kind of processor before it
//! (struct seccomp_data in seccomp(2)), and returns what is to be done. The crate seccompiler
//! writes it: for each call a comparison, for its arguments more, else on to the next.
//!
//! Such a program knows two answers. So there is one for each other answer; the kernel runs
//! them all, and does what is the strictest, or of equals the last one.

use std::collections::BTreeMap;
use std::str::FromStr;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};
use stage::{Error, Result};
use syscalls::Sysno;

use crate::profile::{Action, Argument, Profile, Rule};

/// Programs for the kernel, to be installed in this order.
#[derive(Debug, Clone)]
pub struct Filter {
    pub(crate) programs: Vec<BpfProgram>,
}

/// For the number of each call, what its arguments may be. None: anything.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Filter {
    /// Translate `profile`, whose rules all hold.
    pub fn compile(profile: &Profile) -> Result<Filter> {
        let default = answer(profile.default_action, profile.default_errno_ret);
        // By what is to be done, and with them all that the default is not for.
        let (mut named, mut others) =
            (Rules::new(), Vec::<(SeccompAction, Rules)>::new());
        for rule in &profile.syscalls {
            let action = answer(rule.action, rule.errno_ret);
            if action == default {
                continue;
            }
            add(&mut named, rule)?;
            match others.iter_mut().find(|(known, _)| *known == action) {
                Some((_, rules)) => add(rules, rule)?,
                None => {
                    let mut rules = Rules::new();
                    add(&mut rules, rule)?;
                    others.push((action, rules));
                }
            }
        }
        others.retain(|(action, _)| *action != SeccompAction::Allow);
        let mut programs = Vec::new();
        if default != SeccompAction::Allow {
            let mut rest = named.clone();
            rest.retain(|_, rules| !rules.is_empty());
            let rest = translate(rest, default, SeccompAction::Allow)?;
            programs.push(with_prelude(&named, rest)?);
        }
        for (action, rules) in others {
            programs.push(translate(rules, SeccompAction::Allow, action)?);
        }
        Ok(Filter { programs })
    }

    /// How many instructions it has.
    pub fn length(&self) -> usize {
        self.programs.iter().map(Vec::len).sum()
    }
}

fn translate(
    rules: Rules,
    other: SeccompAction,
    action: SeccompAction,
) -> Result<BpfProgram> {
    let wrong = |error: &dyn std::fmt::Display| Error::input(format!("seccomp: {error}"));
    let here =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|error| wrong(&error))?;
    let filter = SeccompFilter::new(rules, other, action, here);
    filter.and_then(BpfProgram::try_from).map_err(|error| wrong(&error))
}

/// What comes before such a program: most calls get their answer here.
///
/// Calls with a higher number than all that are `named` are newer than the profile, and get ENOSYS:
/// programs that hear EPERM would give up, instead of trying the old way. Where neighbours are
/// allowed whatever their arguments, they are compared as one. seccompiler would compare each, and
/// the kernel translates every instruction, and tries all calls, when a filter is installed.
fn with_prelude(named: &Rules, program: BpfProgram) -> Result<BpfProgram> {
    let Some(newest) = named.last_key_value().and_then(|(it, _)| u32::try_from(*it).ok())
    else {
        return Ok(program);
    };
    let (jump, answer) = (libc::BPF_JMP | libc::BPF_K, libc::BPF_RET | libc::BPF_K);
    let no_such = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    // What a number means depends on the kind of processor, which is compared first.
    let mut prelude = translate(Rules::new(), SeccompAction::Allow, SeccompAction::Log)?;
    prelude.pop();
    prelude.extend([
        line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0), // its number comes first
        line(jump | libc::BPF_JGT, 1, newest),
        line(answer, 0, no_such),
    ]);
    for (first, last) in neighbours(named) {
        prelude.extend([
            line(jump | libc::BPF_JGE, 2, first),
            sock_filter { jt: 1, ..line(jump | libc::BPF_JGT, 0, last) },
            line(answer, 0, libc::SECCOMP_RET_ALLOW),
        ]);
    }
    prelude.extend(program);
    Ok(prelude)
}

/// An instruction that goes on with the next one, or, if its comparison fails, skips `jf` of them.
fn line(code: u32, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf, k }
}

/// The first and the last number of calls that stand side by side, and may have any arguments.
fn neighbours(named: &Rules) -> Vec<(u32, u32)> {
    let mut found: Vec<(u32, u32)> = Vec::new();
    let free = named.iter().filter(|(_, rules)| rules.is_empty());
    for number in free.filter_map(|(number, _)| u32::try_from(*number).ok()) {
        match found.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => found.push((number, number)),
        }
    }
    found
}

/// Add the calls that `rule` is for to `rules`.
fn add(rules: &mut Rules, rule: &Rule) -> Result<()> {
    let conditions =
        rule.args.iter().flatten().map(condition).collect::<Result<Vec<_>>>()?;
    for name in &rule.names {
        // A profile is for all kinds of processors, and has calls of others.
        let Ok(number) = Sysno::from_str(name).map(|it| i64::from(it.id())) else {
            continue;
        };
        let is_free = |known: &Vec<SeccompRule>| known.is_empty();
        if conditions.is_empty() || rules.get(&number).is_some_and(is_free) {
            rules.insert(number, Vec::new());
            continue;
        }
        let rule = SeccompRule::new(conditions.clone());
        let rule =
            rule.map_err(|error| Error::input(format!("seccomp: {name}: {error}")))?;
        rules.entry(number).or_default().push(rule);
    }
    Ok(())
}

fn condition(argument: &Argument) -> Result<SeccompCondition> {
    let Argument { index, value, value_two, op } = argument;
    let (operator, value) = match op.as_str() {
        "SCMP_CMP_NE" => (SeccompCmpOp::Ne, *value),
        "SCMP_CMP_LT" => (SeccompCmpOp::Lt, *value),
        "SCMP_CMP_LE" => (SeccompCmpOp::Le, *value),
        "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, *value),
        "SCMP_CMP_GE" => (SeccompCmpOp::Ge, *value),
        "SCMP_CMP_GT" => (SeccompCmpOp::Gt, *value),
        "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(*value), *value_two),
        _ => return Err(Error::input(format!("seccomp: {op:?} is no comparison"))),
    };
    let condition =
        SeccompCondition::new(*index, SeccompCmpArgLen::Qword, operator, value);
    condition.map_err(|error| Error::input(format!("seccomp: argument {index}: {error}")))
}

fn answer(action: Action, errno: Option<u32>) -> SeccompAction {
    match action {
        Action::Allow => SeccompAction::Allow,
        Action::Errno => {
            SeccompAction::Errno(errno.unwrap_or(libc::EPERM.unsigned_abs()))
        }
        Action::KillThread => SeccompAction::KillThread,
        Action::KillProcess => SeccompAction::KillProcess,
        Action::Log => SeccompAction::Log,
        Action::Trap => SeccompAction::Trap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_compared_as_one() {
        let free = |number: i64| (number, Vec::new());
        let always = || {
            let any =
                SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Ge, 0);
            SeccompRule::new(vec![any.unwrap()]).unwrap()
        };
        let named: Rules =
            [free(0), free(1), free(2), (3, vec![always()]), free(4), free(9)].into();
        assert_eq!(neighbours(&named), [(0, 2), (4, 4), (9, 9)]);
        assert_eq!(neighbours(&Rules::new()), []);
    }

    fn compiled(text: &str) -> Result<Filter> {
        let profile = serde_json::from_str(text);
        Filter::compile(&profile.map_err(|error| Error::input(error.to_string()))?)
    }

    #[test]
    fn there_is_a_program_for_each_answer() {
        let count = |text: &str| compiled(text).map(|filter| filter.programs.len());
        let kill = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
            [{"names": ["getppid"], "action": "SCMP_ACT_KILL_PROCESS"}]}"#;
        assert_eq!(count(kill), Ok(1));
        let three = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["acct"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": null},
            {"names": ["sync"], "action": "SCMP_ACT_LOG"}]}"#;
        assert_eq!(count(three), Ok(3));
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let wrong = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],
            "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SAME"}]}]}"#;
        let error = compiled(wrong).map(|filter| filter.length());
        assert_eq!(error, Err(Error::input("seccomp: \"SAME\" is no comparison")));
    }
}
