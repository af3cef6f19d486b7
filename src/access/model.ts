/**
 * The default Casbin model: the model of *Distributed Services with Go*, and roles (`g, alice, writers`), prefixes of
 * names (`orders/*`, by `log-match.ts`) and `*` for any action. A policy for that model allows the same here.
 * `certs/model.conf` has the same text, as an example for operators.
 */
export const defaultModel = `# Who (sub) may do what (act) to which log (obj): a name, a prefix with * at its end, or * for every log.

[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act

# g, alice, writers: alice is a writer. Roles nest.
[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = g(r.sub, p.sub) && logMatch(r.obj, p.obj) && (p.act == "*" || r.act == p.act)
`;
