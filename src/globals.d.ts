/**
 * Names that Connect's declarations take from the DOM's, and that Node's types lack.
 *
 * Never: declares a value.
 */
type HeadersInit = ConstructorParameters<typeof Headers>[0];
