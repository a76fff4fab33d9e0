import type { SqlEntityManager } from '@mikro-orm/sql'

/** Runs SQL, in a transaction or outside of one. What services are given. */
export type Connection = Pick<SqlEntityManager, 'getKysely'>
