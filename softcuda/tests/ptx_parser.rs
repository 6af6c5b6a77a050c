//! The PTX parser: each construct, and each error with its place.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use softcuda::ptx::ast::{AddressBase, Body, Function, Initial, Instruction, Module, Operand, Position, Space, Type};
use softcuda::ptx::{Error, parse};
use std::path::Path;

const HEADER: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

fn module(text: &str) -> Module {
    parse(&format!("{HEADER}{text}")).unwrap()
}

fn kernel(text: &str) -> Function {
    module(text).functions.pop().unwrap()
}

/// The body of a kernel with some registers.
fn body(text: &str) -> Body {
    let registers = ".reg .pred %p<4>; .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .b64 %rd<9>;";
    kernel(&format!(".entry k(.param .u64 a) {{ {registers}\n{text}\n}}")).body.unwrap()
}

fn instruction(text: &str) -> Instruction {
    body(text).instructions.pop().unwrap()
}

fn operands(text: &str) -> Vec<Operand> {
    instruction(text).operands
}

fn register(name: &str) -> Operand {
    Operand::Register(name.to_owned())
}

fn symbol(name: &str) -> Operand {
    Operand::Symbol(name.to_owned(), 0)
}

/// The error of a text in which `^` marks the place where it must be.
fn error(marked: &str) -> Error {
    let (before, after) = marked.split_once('^').expect("a mark");
    let text = format!("{before}{after}");
    let error = parse(&text).expect_err(&text);
    let line = before.lines().count().max(1) + usize::from(before.ends_with('\n'));
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    let place = Position { line: line as u32, column: column as u32 };
    assert_eq!(error.position, place, "of {error} in\n{text}");
    error
}

fn module_error(marked: &str) -> String {
    error(&format!("{HEADER}{marked}")).what
}

fn body_error(marked: &str) -> String {
    error(&format!("{HEADER}.entry k() {{ .reg .b32 %r<4>; .reg .pred %p<2>;\n{marked}")).what
}

/// Asserts that each marked text gives an error that says the phrase.
fn assert_errors(of: impl Fn(&str) -> String, cases: &[(&str, &str)]) {
    for (text, phrase) in cases {
        let what = of(text);
        assert!(what.contains(phrase), "'{what}' does not say '{phrase}' of {text}");
    }
}

#[test]
fn every_snapshot_of_compiled_kernels_parses() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut parsed = 0;
    for folder in ["ptx_parser", "ptx"] {
        for entry in tests.join(folder).read_dir().into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "ptx") {
                let module = parse(&std::fs::read_to_string(&path).unwrap())
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert!(module.functions.iter().any(|f| f.kernel && f.body.is_some()), "{}", path.display());
                parsed += 1;
            }
        }
    }
    assert!(parsed >= 3, "only {parsed} snapshots");
}

#[test]
fn every_instruction_of_a_snapshot_is_kept_with_its_source_line() {
    let text = include_str!("ptx_parser/variables.sm_80.ptx");
    let module = parse(text).unwrap();
    let body = module.functions[0].body.as_ref().unwrap();
    // Here each instruction has a line of its own, which ends in a semicolon.
    let is_instruction = |line: &&str| line.ends_with(';') && !line.trim_start().starts_with('.');
    assert_eq!(body.instructions.len(), text.lines().filter(is_instruction).count());
    let barrier = body.instructions.iter().find(|i| i.opcode == "bar").unwrap();
    assert_eq!(barrier.source, Some((1, 16)));
    assert_eq!(module.files, [(1, "/basic.cu".to_owned())]);
}

#[test]
fn a_header_gives_version_and_target() {
    let module = parse(".version 7.10\n.target sm_90a, texmode_independent, debug\n.address_size 64").unwrap();
    assert_eq!((module.version, module.target.as_str()), ((7, 10), "sm_90a"));
}

#[test]
fn comments_and_stray_semicolons_are_passed_over() {
    let module = module(";; // .func\n/* .global * / \n é */ .global .b8 x; ;");
    assert_eq!(module.variables[0].name, "x");
    assert_eq!(module.variables[0].position, Position { line: 6, column: 19 });
    assert_eq!(body("; ret; ; { ; } ret;").instructions.len(), 2);
}

#[test]
fn files_sections_pragmas_and_aliases_are_read() {
    let module = module(
        ".file 1 \"a b.cu\"\n.file 2 \"c.cu\", 1700000000, 42\n.pragma \"one\", \"two\";\n.alias f, g;\n\
         .section .debug_info { $L__x: .b8 1, -2, 0xff\n.b32 .debug_line+4, $L__x-$L__y\nl2:\n.b64 $L__x\n.b16 7 }",
    );
    assert_eq!(module.files, [(1, "a b.cu".to_owned()), (2, "c.cu".to_owned())]);
    assert_eq!(module.aliases, [("f".to_owned(), "g".to_owned())]);
}

#[test]
fn a_variable_has_space_alignment_type_and_size() {
    let text = ".visible .global .align 16 .attribute(.managed) .v2 .f32 a[3][4]; .const .u16 b, c[2];\
                .extern .shared .align 8 .b8 d[]; .weak .global .attribute(.unified(1, 2)) .b64 e;";
    let found: Vec<_> = module(text)
        .variables
        .into_iter()
        .map(|v| (v.name, v.space, v.align, v.ty, v.size, v.unsized_array, v.external))
        .collect();
    let row = |name: &str, space, align, ty, size, open| (name.to_owned(), space, align, ty, size, open, open);
    assert_eq!(
        found,
        [
            row("a", Space::Global, 16, Type::F(32), 96, false),
            row("b", Space::Const, 2, Type::U(16), 2, false),
            row("c", Space::Const, 2, Type::U(16), 4, false),
            row("d", Space::Shared, 8, Type::B(8), 0, true),
            row("e", Space::Global, 8, Type::B(64), 8, false),
        ]
    );
}

#[test]
fn a_vector_is_aligned_to_its_whole_unless_told_otherwise() {
    let module = module(".global .v4 .f32 a; .global .align 4 .v4 .f32 b;");
    assert_eq!(module.variables.iter().map(|v| (v.align, v.size)).collect::<Vec<_>>(), [(16, 16), (4, 16)]);
}

fn bits(text: &str) -> Vec<u64> {
    let element = |initial: &Initial| match initial {
        Initial::Bits(bits) => *bits,
        Initial::Address { .. } => panic!("an address"),
    };
    module(text).variables[0].initial.iter().map(element).collect()
}

#[test]
fn initial_values_are_bits_of_the_type() {
    assert_eq!(bits(".global .b8 x[] = {1, -1, 0xFE, 017, 0b11, 7U};"), [1, 255, 254, 15, 3, 7]);
    assert_eq!(bits(".global .s64 x = -9223372036854775808;"), [1 << 63]);
    assert_eq!(bits(".global .u64 x = 18446744073709551615;"), [u64::MAX]);
    assert_eq!(bits(".const .f32 x[4] = {0f3F800000, 1.5, -2.5e0, 0};"), [0x3F80_0000, 0x3FC0_0000, 0xC020_0000, 0]);
    assert_eq!(bits(".const .f64 x[2] = {0dBFF0000000000000, 0f3F800000};"), [0xBFF0 << 48, 0x3FF0 << 48]);
    assert_eq!(bits(".const .f16 x = 0x3C00;"), [0x3C00]);
}

#[test]
fn rows_of_initial_values_are_filled_up_with_zeros() {
    assert_eq!(bits(".global .u32 x[2][3] = {{1}, {2, 3}};"), [1, 0, 0, 2, 3]);
    assert_eq!(bits(".global .v2 .u32 x[2] = {{1}, {2, 3}};"), [1, 0, 2, 3]);
    assert_eq!(bits(".global .u32 x[2][2][2] = {{{1}, {2}}, {{3}}};"), [1, 0, 2, 0, 3]);
    assert_eq!(bits(".global .u32 x[2][2] = {1, 2, 3, 4};"), [1, 2, 3, 4]);
    assert_eq!(bits(".global .u32 x[4] = {};"), [0; 0]);
}

#[test]
fn an_array_without_a_length_takes_that_of_its_value() {
    let module = module(".global .u32 x[] = {1, 2, 3}; .global .u16 y[][2] = {{1}, {2}, {3}};");
    let sizes: Vec<_> = module.variables.iter().map(|v| (v.size, v.unsized_array)).collect();
    assert_eq!(sizes, [(12, false), (12, false)]);
}

#[test]
fn initial_addresses_keep_symbol_and_offset() {
    let text = ".global .u64 x[4] = {f, a+12, generic(a)+8, generic(b)-4};";
    let address = |symbol: &str, offset, generic| Initial::Address { symbol: symbol.to_owned(), offset, generic };
    let expected = [address("f", 0, false), address("a", 12, false), address("a", 8, true), address("b", -4, true)];
    assert_eq!(module(text).variables[0].initial, expected);
}

#[test]
fn an_entry_has_parameters_and_limits() {
    let function = kernel(
        ".visible .entry k(.param .u64 .ptr .global .align 16 a, .param .align 8 .b8 b[24], \
         .param .b64 .ptr .align 1 c)\n\
         .maxntid 8, 4, 2 .reqntid 32 .minnctapersm 2 .maxnctapersm 3 .maxnreg 64 .explicitcluster\n\
         .reqnctapercluster 2, 1, 1 .maxclusterrank 8 .pragma \"x\"; .abi_preserve 4 { ret; }",
    );
    assert!(function.kernel);
    assert_eq!((function.max_threads, function.required_block), (Some(64), Some([32, 1, 1])));
    assert_eq!((function.min_blocks, function.max_registers), (Some(2), Some(64)));
    let parameters: Vec<_> = function.parameters.iter().map(|p| (p.name.as_str(), p.align, p.size)).collect();
    assert_eq!(parameters, [("a", 8, 8), ("b", 8, 24), ("c", 8, 8)]);
    assert_eq!(function.position, Position { line: 4, column: 17 });
}

#[test]
fn functions_are_kept_with_and_without_bodies() {
    let module = module(
        ".func (.param .b32 r) f (.param .b32 x)\n;\n.extern .func g () .noreturn;\n\
         .shared .b8 s[4];\n.entry k { ret; }\n\
         .func (.param .b32 r) f (.param .b32 x) { st.param.b32 [r+0], 1; ret; }",
    );
    let found: Vec<_> = module.functions.iter().map(|f| (f.name.as_str(), f.returns.len(), f.body.is_some())).collect();
    assert_eq!(found, [("f", 1, false), ("g", 0, false), ("k", 0, true), ("f", 1, true)]);
}

#[test]
fn registers_are_spread_out() {
    let body =
        kernel(".entry k() { .reg .b32 %r<3>, %a, p; .reg .pred %p<1>; .reg .f16 %r1<2>, %h<0>; }").body.unwrap();
    let names: Vec<_> = body.registers.iter().map(|(name, ty)| (name.as_str(), *ty)).collect();
    let word = Type::B(32);
    let rest = [("%p0", Type::Pred), ("%r10", Type::F(16)), ("%r11", Type::F(16))];
    assert_eq!(names[..5], [("%r0", word), ("%r1", word), ("%r2", word), ("%a", word), ("p", word)]);
    assert_eq!(names[5..], rest);
}

#[test]
fn an_instruction_has_guard_opcode_modifiers_and_place() {
    let found = instruction(".loc 1 7 3\n  @!%p1 ld.global.shared::cta.L2::128B.v2.f32 {%f1, %f2}, [%rd1+16];");
    assert_eq!(found.guard, Some(("%p1".to_owned(), true)));
    assert_eq!((found.opcode.as_str(), found.source), ("ld", Some((1, 7))));
    assert_eq!(found.modifiers, ["global", "shared::cta", "L2::128B", "v2", "f32"]);
    assert_eq!(found.position, Position { line: 6, column: 3 });
    let address = Operand::Address { base: AddressBase::Register("%rd1".to_owned()), offset: 16 };
    assert_eq!(found.operands, [Operand::Vector(vec![register("%f1"), register("%f2")]), address]);
}

#[test]
fn an_instruction_ends_at_its_semicolon_only() {
    let body = body("@ %p1\n bra\n .uni L; add.s32\n%r1,\n%r2,1;L:ret;");
    assert_eq!(body.instructions.len(), 3);
    assert_eq!(body.labels, [("L".to_owned(), 2)]);
    assert_eq!(body.instructions[0].guard, Some(("%p1".to_owned(), false)));
}

#[test]
fn source_lines_last_until_the_next_and_are_those_of_the_inlined_code() {
    let inlined = ".loc 2 9 1, function_name $L__info_string0+4, inlined_at 1 19 5";
    let body = body(&format!("ret; .loc 1 5 3\nret;ret;\n{inlined}\nret; .loc 1 0 3\nret;"));
    let lines: Vec<_> = body.instructions.iter().map(|i| i.source).collect();
    assert_eq!(lines, [None, Some((1, 5)), Some((1, 5)), Some((2, 9)), None]);
}

#[test]
fn numbers_are_bits() {
    let found =
        operands("x 1, -1, 0xFFFFFFFFFFFFFFFF, -9223372036854775808, 0f3F800000, 0d3FF0000000000000, 1.5, -2.0;");
    let expected = [
        Operand::Integer(1),
        Operand::Integer(-1),
        Operand::Integer(-1),
        Operand::Integer(i64::MIN),
        Operand::Float32(0x3F80_0000),
        Operand::Float64(0x3FF0 << 48),
        Operand::Float64(1.5_f64.to_bits()),
        Operand::Float64((-2.0_f64).to_bits()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn addresses_start_from_registers_symbols_or_nothing() {
    let address = |base, offset| Operand::Address { base, offset };
    let named = |name: &str, offset| address(AddressBase::Symbol(name.to_owned()), offset);
    let from = |offset| address(AddressBase::Register("%rd1".to_owned()), offset);
    let found = operands("x [%rd1], [%rd1+-8], [%rd1-8], [%rd1 + 4], [a], [_ZZ1kE1s+12], [16], [p];");
    let nothing = address(AddressBase::Absolute, 16);
    let expected = [from(0), from(-8), from(-8), from(4), named("a", 0), named("_ZZ1kE1s", 12), nothing, named("p", 0)];
    assert_eq!(found, expected);
}

#[test]
fn every_other_operand_has_its_form() {
    let found = operands("x %r1|%p2, _|%p1, !%p3, {%r1, 0}, _, sym, sym+4, %tid.x, %clock64, %envreg31, WARP_SZ;");
    let pair = |a, b| Operand::Pair(Box::new(a), Box::new(b));
    let expected = [
        pair(register("%r1"), register("%p2")),
        pair(Operand::Sink, register("%p1")),
        Operand::Not("%p3".to_owned()),
        Operand::Vector(vec![register("%r1"), Operand::Integer(0)]),
        Operand::Sink,
        symbol("sym"),
        Operand::Symbol("sym".to_owned(), 4),
        register("%tid.x"),
        register("%clock64"),
        register("%envreg31"),
        Operand::Integer(32),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_call_always_has_returns_target_and_arguments() {
    let list = |names: &[&str]| Operand::List(names.iter().map(|name| symbol(name)).collect());
    let cases = [
        ("call.uni (r), f, (p, q);", vec![list(&["r"]), symbol("f"), list(&["p", "q"])]),
        ("call f;", vec![list(&[]), symbol("f"), list(&[])]),
        ("call f, (p);", vec![list(&[]), symbol("f"), list(&["p"])]),
        ("call (r), f;", vec![list(&["r"]), symbol("f"), list(&[])]),
        ("call (r), f, (\n);", vec![list(&["r"]), symbol("f"), list(&[])]),
        ("call (r), %rd1, (p)\n, t;", vec![list(&["r"]), register("%rd1"), list(&["p"]), symbol("t")]),
        ("call %rd1, t;", vec![list(&[]), register("%rd1"), list(&[]), symbol("t")]),
    ];
    for (text, expected) in cases {
        assert_eq!(operands(text), expected, "of {text}");
    }
}

#[test]
fn labels_name_targets_prototypes_and_places() {
    let body = body(
        "ts: .branchtargets A, B; brx.idx %r1, ts; A: B: ret; fs: .calltargets f, g;\n\
         pr : .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 8 .b8 _[16]) .noreturn;\nE:",
    );
    assert_eq!(body.branch_targets, [("ts".to_owned(), vec!["A".to_owned(), "B".to_owned()])]);
    let labels: Vec<_> = body.labels.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    assert_eq!(labels, [("A", 1), ("B", 1), ("E", 2)]);
    let (name, returns, parameters) = &body.prototypes[0];
    assert_eq!((name.as_str(), returns.len(), parameters.len(), parameters[1].size), ("pr", 1, 2, 16));
}

#[test]
fn names_of_repeated_scopes_differ_and_their_uses_follow() {
    let scope = "{ .reg .pred p; .param .b32 v; @p bra L; st.param.b32 [v], 1; L: }\n";
    let body = body(&scope.repeat(2));
    let registers: Vec<_> = body.registers.iter().map(|(name, _)| name.as_str()).filter(|n| !n.contains('%')).collect();
    assert!(registers.len() == 2 && registers[0] != registers[1], "{registers:?}");
    assert_eq!(body.labels.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [2, 4]);
    for (half, register) in registers.into_iter().enumerate() {
        let [branch, store] = &body.instructions[2 * half..2 * half + 2] else { panic!("two instructions") };
        assert_eq!(branch.guard, Some((register.to_owned(), false)));
        assert_eq!(branch.operands, [symbol(&body.labels[half].0)]);
        let base = AddressBase::Symbol(body.variables[half].name.clone());
        assert_eq!(store.operands[0], Operand::Address { base, offset: 0 });
    }
    assert_ne!(body.labels[0].0, body.labels[1].0);
    assert_ne!(body.variables[0].name, body.variables[1].name);
}

#[test]
fn an_inner_name_hides_the_outer_one_until_its_scope_ends() {
    let body = body(".reg .b32 t; x t; { .reg .b32 t; x t; { x t; } } x t;");
    let used: Vec<_> = body.instructions.iter().map(|i| i.operands[0].clone()).collect();
    assert_eq!((&used[0], &used[1]), (&register("t"), &used[2]));
    assert_ne!(used[0], used[1]);
    assert_eq!(used[0], used[3]);
}

#[test]
fn labels_are_found_in_outer_scopes_and_inner_ones_hide_them() {
    let body = body("L: { bra L; bra M; { bra N; bra L; L: } N: } M: bra L;");
    let target = |at: usize| body.instructions[at].operands[0].clone();
    let label = |name: &str| body.labels.iter().find(|(label, _)| label.starts_with(name)).unwrap().0.clone();
    assert_eq!(target(0), symbol("L"));
    assert_eq!(target(1), symbol("M"));
    assert_eq!(target(2), symbol(&label("N")));
    assert_eq!(target(3), symbol(&body.labels[1].0), "the innermost label, which stands further on");
    assert_ne!(body.labels[1].0, "L");
    assert_eq!(target(4), symbol("L"));
}

#[test]
fn branch_targets_of_a_scope_are_its_labels() {
    let body = body("{ ts: .branchtargets A, Z; brx.idx %r1, ts; A: } Z: ret;");
    let (name, labels) = &body.branch_targets[0];
    assert_eq!(*labels, [body.labels[0].0.clone(), "Z".to_owned()]);
    assert_eq!(body.instructions[0].operands[1], symbol(name));
}

#[test]
fn errors_of_the_header_name_their_place() {
    let of = |marked: &str| error(marked).what;
    assert_errors(
        of,
        &[
            ("^", "begins with '.version'"),
            ("^.target sm_80", "begins with '.version'"),
            (".version ^8\n", "MAJOR.MINOR"),
            (".version 8.0\n^.address_size 64", "'.target' must follow"),
            (".version 8.0\n.target ^compute_80", "such as sm_80"),
            (".version 8.0\n.target sm_80, ^fast", "unknown option"),
            (".version 8.0\n.target sm_80\n^.global .b8 x;", "'.address_size 64'"),
            (".version 8.0\n.target sm_80\n.address_size ^32", "32 bits are not supported"),
            (".version 8.0\n.target sm_80\n.address_size ^16", "write '.address_size 64'"),
        ],
    );
}

#[test]
fn errors_of_characters_and_numbers_name_their_place() {
    assert_errors(
        module_error,
        &[
            ("  ^# 1", "unexpected character"),
            ("\t^é", "unexpected character"),
            (".global .b8 x; ^/* no end", "comment does not end"),
            (".file 1 ^\"open\n\"", "string does not end"),
            ("^. global", "must follow this dot"),
            (".global .b8 ^$", "a name must follow"),
            (".global .b8 x = ^0x;", "digits of base 16"),
            (".global .b8 x = ^08;", "digits of base 8"),
            (".global .b8 x = ^12a;", "malformed number"),
            (".global .b64 x = ^18446744073709551616;", "does not fit 64 bits"),
            (".global .f32 x = ^0f3F8;", "exactly 8"),
            (".global .f64 x = ^0d3FF00000000000000;", "exactly 16"),
            (".global .f64 x = ^1e999;", "does not fit an f64"),
            (".global^.a:: .b8 x;", "must follow '::'"),
        ],
    );
}

#[test]
fn errors_of_declarations_name_their_place() {
    assert_errors(
        module_error,
        &[
            ("^.bogus 1;", "unknown directive"),
            ("^x", "expected a directive"),
            ("^.reg .b32 %r;", "registers of a module"),
            ("^.local .b32 x;", "no variables of a module"),
            ("^.texref t;", "textures"),
            (".global ^.texref t;", "textures"),
            (".global ^.pred x;", "predicates"),
            (".global ^.b33 x;", "unknown type"),
            (".global .align ^3 .b8 x;", "power of two"),
            (".global .attribute(^.other) .b8 x;", "unknown attribute"),
            (".global .b8 ^%x;", "without '%'"),
            (".global .b8 x^<4>;", "declare an array"),
            (".global .b8 x[2]^[];", "only the first dimension"),
            (".global .b8 ^x[1099511627777];", "more than 1099511627776 bytes"),
            (".global .b8 ^x[4294967296][4294967296][4294967296];", "more than 1099511627776 bytes"),
            (".global .b8 x^", "expected ';'"),
            (".global .b8 x; .global .b8 ^x;", "defined twice"),
            (".alias a^;", "between the alias"),
            (".loc 1 2 ^x", "a column"),
            (".loc 1 2 3, ^other", "'function_name'"),
            (".section ^x {", "name of the section"),
            (".section .x { .b8 ^} }", "data of the section"),
            (".section .x { ^.global", "in this section"),
            (".section .x { .b8 1 ^", "in this section"),
            (".pragma ^x;", "quotation marks"),
        ],
    );
}

#[test]
fn errors_of_initial_values_name_their_place() {
    assert_errors(
        module_error,
        &[
            (".global .b8 x = ^256;", "does not fit the variable's type"),
            (".global .b8 x = ^-129;", "does not fit the variable's type"),
            (".global .f32 x = ^1;", "does not fit the variable's type"),
            (".global .u32 x = ^0f3F800000;", "cannot hold this number"),
            (".global .b8 x = ^sym;", "needs a variable of 32 or 64 bits"),
            (".global .b8 x[2] = ^{1, 2, 3};", "more initial values than the variable"),
            (".global .b8 x[2][2] = {^{1, 2, 3}, {4}};", "more initial values than this row"),
            (".global .b8 x[2] = {^{1}};", "more braces"),
            (".global .b8 x[2] = ^1;", "stands in braces"),
            (".global .b8 x[2] = {1 ^2};", "expected ',' or '}'"),
            (".global .b8 x[2] = {^,};", "expected an initial value"),
            (".shared .b8 x = ^1;", "have an initial value"),
            (".global .b8 x[2][4294967296] = {{1}, ^{2}};", "too many zeros"),
        ],
    );
}

#[test]
fn errors_of_functions_name_their_place() {
    assert_errors(
        module_error,
        &[
            (".entry k(^.reg .b32 a) {}", "use '.param'"),
            (".entry k(^.b32 a) {}", "expected a parameter"),
            (".entry k(.param .b32 a ^.param .b32 b) {}", "expected ',' or ')'"),
            (".entry k(.param .b32 a ^= 1) {}", "no initial value"),
            (".entry k(.param .b32 a, .param .b32 ^a) {}", "declared twice"),
            (".entry k() ^.maxthreads 3 {}", "unknown directive"),
            (".entry k() .reqntid 1, ^0 {}", "at least 1"),
            (".entry k() ^.maxntid 65536, 65536 {}", "does not fit 32 bits"),
            (".entry k() ^ret;", "or a body"),
            (".entry k() {} .entry ^k() {}", "two bodies"),
            (".extern .func f() ^{}", "'.extern' function has no body"),
            (".entry k() { ^", "close it with '}'"),
        ],
    );
}

#[test]
fn errors_of_statements_name_their_place() {
    assert_errors(
        body_error,
        &[
            ("ret ^}", "expected an operand"),
            ("mov.b32 %r1, %r2 ^ret;", "expected ',' or ';'"),
            ("^.bogus;", "unknown directive"),
            ("^.branchtargets a;", "a label must stand before"),
            ("^)", "expected an instruction"),
            ("^Bogus %r1;", "expected an instruction"),
            ("^%r1;", "expected an instruction"),
            ("^%L: ret;", "a label has no '%'"),
            ("L: ret; ^L: ret;", "declared twice"),
            (".reg .b32 ^%r3;", "declared twice"),
            (".reg .b32 ^%r<2>;", "declared twice"),
            (".reg ^.v2 .f32 v;", "declare one register for each element"),
            (".reg ^.b33 v;", "unknown type"),
            (".reg .b32 ^%x<1000001>;", "more than 1000000 registers"),
            (".reg .b32 %x<4^;", "expected '>'"),
            ("@^%r9 ret;", "not declared"),
            ("@^L ret;", "not a declared register"),
            ("@%p1 ^;", "an instruction after its guard"),
            ("p: .callprototype ^f;", "expected '_'"),
            ("p: .callprototype _ () ^.maxnreg;", "unknown directive"),
        ],
    );
}

#[test]
fn errors_of_operands_name_their_place() {
    assert_errors(
        body_error,
        &[
            ("x ^%r7;", "'%r7' is not declared"),
            ("x ^%r01;", "not declared"),
            ("x %r1^.x;", "has no elements"),
            ("x %tid^.r;", "has no elements"),
            ("x %laneid^.x;", "has no elements"),
            ("x ^%envreg32;", "not declared"),
            ("x %r1^+4;", "stands in '[...]' only"),
            ("x !^sym;", "not a declared register"),
            ("x -^%r1;", "a number after '-'"),
            ("x ^(%r1);", "only a call"),
            ("x ^sym|%p1;", "beside '|'"),
            ("x {^};", "expected an operand"),
            ("x {%r1, ^{%r1}};", "expected an operand"),
            ("x [^];", "expected an address"),
            ("x [%r1^, {%r2}];", "texture and tensor addresses"),
            ("x [%r1+^%r2];", "expected an offset"),
            ("x [%r1+^9223372036854775808];", "does not fit 63 bits"),
            ("x [%r1+4^;", "expected ']'"),
            ("x [^_];", "cannot stand here"),
            ("call (%r1)^;", "after the returns"),
            ("call ^4;", "the function to call"),
            ("call f, (%r1), p^, q;", "after this call"),
        ],
    );
}

#[test]
fn scopes_nest_to_a_limit() {
    let nested = |depth: usize| format!("{HEADER}.entry k() {}{}", "{".repeat(depth), "}".repeat(depth));
    assert!(parse(&nested(64)).is_ok());
    let error = parse(&nested(65)).unwrap_err();
    assert!(error.what.contains("more than 64 scopes"), "{error}");
    assert!(parse(&nested(100_000)).is_err());
}

#[test]
fn registers_of_all_bodies_together_are_limited() {
    let kernel = |index: usize| format!(".entry k{index}() {{ .reg .b32 %r<1000000>; }}\n");
    let text: String = HEADER.to_owned() + &(0..3).map(kernel).collect::<String>();
    let error = parse(&text).unwrap_err();
    assert_eq!(error.position.line, 6, "{error}");
    assert!(error.what.contains("too much memory"), "{error}");
    let long = format!("{HEADER}.entry k() {{ .reg .b32 {}<1000000>; }}", "x".repeat(1000));
    assert!(parse(&long).unwrap_err().what.contains("too much memory"));
}

#[test]
fn a_text_beyond_the_limit_is_refused() {
    let error = parse(&" ".repeat((64 << 20) + 1)).unwrap_err();
    assert!(error.what.contains("split the module"), "{error}");
    let dense = parse(&(HEADER.to_owned() + &";".repeat(20_000_000))).unwrap_err();
    assert!(dense.what.contains("more than 20000000 tokens"), "{dense}");
}

#[test]
fn an_error_reads_as_place_cause_and_quotation() {
    let tail = "x".repeat(100);
    let error = parse(&format!(".version 8.0\n.target\t;{tail}\n")).unwrap_err();
    let shown = error.to_string();
    assert!(shown.starts_with("PTX 2:9: expected an architecture such as sm_80 near ';xxx"), "{shown}");
    assert_eq!(error.near.chars().count(), 60);
    let end = parse(".version 8.0\n.target").unwrap_err().to_string();
    assert_eq!(end, "PTX 2:8: expected an architecture such as sm_80 at the end of the line");
}

#[test]
fn a_large_text_keeps_every_instruction() {
    let line = "\tfma.rn.f32 %f1, %f2, %f3, %f4;\n";
    let body = body(&line.repeat(150_000));
    assert_eq!(body.instructions.len(), 150_000);
    assert_eq!(body.instructions[149_999].position.line, 150_004);
}
