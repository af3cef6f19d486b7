/**
 * The Casbin model used when none is configured: the book's, and besides roles (`g, alice, writers`),
 * objects as globs (`orders-*`) and `*` for any action. A policy written for the book's model means the same here.
 * `certs/model.conf` is this text, for people to start from; a test keeps the two equal.
 *
 * Never: changes what a rule of the book's policy allows.
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
