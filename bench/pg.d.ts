/** The part of `pg` that the bench uses; the driver is installed with MikroORM and brings no types of its own. */
declare module 'pg' {
  type Result = { rows: unknown[] }
  type Statement = { name?: string; text: string; values?: unknown[] }

  export class Client {
    constructor(options: { connectionString: string })
    connect(): Promise<void>
    query(text: string, values?: unknown[]): Promise<Result>
    end(): Promise<void>
  }

  export class Pool {
    constructor(options: { connectionString: string; max?: number })
    query(statement: string | Statement, values?: unknown[]): Promise<Result>
    end(): Promise<void>
  }
}
