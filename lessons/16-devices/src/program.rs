//! How do rules become a program?
//!
//! In version 2 the kernel calls a program each time that a process of the group opens a
//! device or makes a node, and the program answers with 1 (go on) or 0 (EPERM). It is written
//! in the instructions of eBPF, a machine with ten registers that every Linux can be: r1 is
//! what is asked, r0 the answer. It has no loops, so that the kernel can follow every way
//! through it before it takes it.
//!
//! Read bpf(2), and struct bpf_cgroup_dev_ctx in linux/bpf.h.

use stage::{Error, Result};

use crate::{Access, Rule};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As an assembler reads it: the operation, where the result goes, what with. `+2` is a
    /// jump over two lines.
    pub code: String,
    /// For people.
    pub remark: String,
}

/// What comes first: the question is taken apart.
const QUESTION: [(&str, &str); 6] = [
    ("ldxw r2, [r1+0]", "what kind of device, and what for"),
    ("mov32 r3, r2", ""),
    ("and32 r2, 0xffff", "r2: the kind, 1 block, 2 char"),
    ("rsh32 r3, 16", "r3: what for, 1 mknod + 2 read + 4 write"),
    ("ldxw r4, [r1+4]", "r4: the major number"),
    ("ldxw r5, [r1+8]", "r5: the minor number"),
];

/// The program that lets through what one of `rules` allows.
pub fn compile(rules: &[Rule]) -> Vec<Line> {
    let line = |(code, remark): (&str, &str)| Line::new(code, remark);
    let refusal = [("mov32 r0, 0", "everything else: no"), ("exit", "")];
    let mut program: Vec<Line> = QUESTION.map(line).to_vec();
    program.extend(rules.iter().flat_map(let_through));
    program.extend(refusal.map(line));
    program
}

/// The part for one rule: if all conditions hold, yes; if one does not, on to what follows.
fn let_through(rule: &Rule) -> Vec<Line> {
    let kind = match rule.kind {
        Some(kind) => format!("jne r2, {}", kind as u32),
        // Never: but the kernel refuses a program with lines that no way leads to.
        None => "jeq r2, 0".to_string(),
    };
    let major = rule.major.map(|major| format!("jne r4, {major}"));
    let minor = rule.minor.map(|minor| format!("jne r5, {minor}"));
    let denied = Access::ALL.bits() & !rule.access.bits();
    let access = (denied != 0).then(|| format!("jset r3, {denied}"));
    let conditions = [Some(kind), major, minor, access].into_iter().flatten();
    let conditions: Vec<String> = conditions.collect();
    let jump = |(at, condition): (usize, &String)| {
        // Over the conditions behind it, and the two lines that say yes.
        let over = conditions.len() - at + 1;
        let remark = if at == 0 { rule.to_string() } else { String::new() };
        Line { code: format!("{condition}, +{over}"), remark }
    };
    let yes = [Line::new("mov32 r0, 1", ""), Line::new("exit", "")];
    conditions.iter().enumerate().map(jump).chain(yes).collect()
}

impl Line {
    fn new(code: &str, remark: &str) -> Line {
        Line { code: code.to_string(), remark: remark.to_string() }
    }
}

/// The program as the kernel takes it: eight bytes for each line.
pub fn assemble(program: &[Line]) -> Result<Vec<u8>> {
    let code: Vec<&str> = program.iter().map(|line| line.code.as_str()).collect();
    let assembled = rbpf::assembler::assemble(&code.join("\n"));
    assembled.map_err(|why| Error::input(format!("the program for devices: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DEFAULT, Kind};

    /// Ask the program, run by an interpreter instead of the kernel.
    fn answer(rules: &[Rule], kind: Kind, major: u32, minor: u32, uses: u32) -> u64 {
        let code = assemble(&compile(rules)).unwrap();
        let asked = [uses << 16 | kind as u32, major, minor];
        let mut memory: Vec<u8> = asked.into_iter().flat_map(u32::to_le_bytes).collect();
        let machine = rbpf::EbpfVmRaw::new(Some(&code)).unwrap();
        machine.execute_program(&mut memory).unwrap()
    }

    const MKNOD: u32 = 1;
    const READ: u32 = 2;
    const WRITE: u32 = 4;

    #[test]
    fn a_container_gets_its_terminal_and_no_disk() {
        let ask = |kind, major, minor, uses| answer(&DEFAULT, kind, major, minor, uses);
        assert_eq!(ask(Kind::Char, 1, 3, READ | WRITE), 1);
        assert_eq!(ask(Kind::Char, 136, 77, READ | WRITE), 1);
        assert_eq!(ask(Kind::Char, 1, 1, READ), 0, "/dev/mem");
        assert_eq!(ask(Kind::Char, 1, 1, MKNOD), 1);
        assert_eq!(ask(Kind::Block, 8, 0, MKNOD), 1);
        assert_eq!(ask(Kind::Block, 8, 0, READ), 0);
        assert_eq!(ask(Kind::Block, 1, 3, READ), 0, "a block device with null's numbers");
    }

    #[test]
    fn all_uses_must_be_allowed_by_one_rule() {
        let access = Access { read: true, write: false, mknod: false };
        let rule = Rule { kind: None, major: Some(7), minor: None, access };
        for kind in [Kind::Block, Kind::Char] {
            assert_eq!(answer(&[rule], kind, 7, 1, READ), 1);
            assert_eq!(answer(&[rule], kind, 7, 1, READ | WRITE), 0);
            assert_eq!(answer(&[rule], kind, 8, 1, READ), 0);
        }
        assert_eq!(answer(&[], Kind::Char, 1, 3, READ), 0);
    }
}
