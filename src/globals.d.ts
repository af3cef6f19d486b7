/** Types that Connect's declarations take from the DOM and that Node's types lack. */
type HeadersInit = ConstructorParameters<typeof Headers>[0];
/** The same, for those of aws4fetch. */
type BodyInit = NonNullable<ConstructorParameters<typeof Response>[0]>;
