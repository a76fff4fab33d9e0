/** What time it is. Given to services whose rules depend on it, so that a test can walk through a month. */
export type Clock = () => Date

export const systemClock: Clock = () => new Date()
