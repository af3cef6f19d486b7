/** Types that Connect's declarations take from the DOM and that Node's types lack. */
type HeadersInit = ConstructorParameters<typeof Headers>[0];
