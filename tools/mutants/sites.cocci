// SPDX-License-Identifier: GPL-2.0-only
//
// Where a C file can be broken: a line for each place, with its kind, and where it begins and
// ends. tools/lib/mutants.py knows what is done to each kind.

@initialize:python@
@@
def site(kind, p):
    q = p[0]
    print("%s\t%s\t%s\t%s\t%s\t%s" % (kind, q.file, q.line, q.column, q.line_end, q.column_end))

@c1@
expression E; position p; statement S1, S2;
@@
 if (E@p) S1 else S2

@script:python@
p << c1.p;
@@
site("cond", p)

@c2@
expression E; position p; statement S;
@@
 while (E@p) S

@script:python@
p << c2.p;
@@
site("cond", p)

@c3@
expression E, X, Y; position p;
@@
 E@p ? X : Y

@script:python@
p << c3.p;
@@
site("cond", p)

@a1@
expression A, B; position p, q;
@@
 A@p && B@q

@script:python@
p << a1.p;
q << a1.q;
@@
site("and", p)
site("and", q)

@o1@
expression A, B; position p, q;
@@
 A@p || B@q

@script:python@
p << o1.p;
q << o1.q;
@@
site("or", p)
site("or", q)

@l1@
expression A, B; position q;
@@
(
 A < B@q
|
 A >= B@q
)

@script:python@
q << l1.q;
@@
site("next", q)

@l2@
expression A, B; position q;
@@
(
 A@q > B
|
 A@q <= B
)

@script:python@
q << l2.q;
@@
site("next", q)

@f1@
expression A, B; position p, q;
@@
 A@p | B@q

@script:python@
p << f1.p;
q << f1.q;
@@
site("flag", p)
site("flag", q)

@m1@
expression A, B; position q;
@@
 A & B@q

@script:python@
q << m1.q;
@@
site("mask", q)

@k@
constant C; position p;
@@
 C@p

@script:python@
p << k.p;
@@
site("const", p)

@s@
expression E; position p;
@@
 E@p;

@script:python@
p << s.p;
@@
site("stmt", p)

@r@
expression E; position p;
@@
 return E@p;

@script:python@
p << r.p;
@@
site("return", p)
