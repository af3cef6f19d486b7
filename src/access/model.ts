/**
 * The default Casbin model: the model of *Distributed Services with Go*, and roles (`g, alice, writers`), globs for
 * objects (`orders-*`) and `*` for any action. A policy for that model allows the same here. `certs/model.conf` has
 * the same text, as an example for operators.
 */
export const defaultModel = `# Who (sub) may do what (act) to which log (obj).

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
m = g(r.sub, p.sub) && (p.obj == "*" || globMatch(r.obj, p.obj)) && (p.act == "*" || r.act == p.act)
`;
