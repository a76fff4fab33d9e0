import { parseArgs } from 'node:util'

export type ReplayOptions = {
  /** The chat log to send. */
  file: string
  /** All logs at once, and nobody waits for their turn. */
  burst: boolean
  /** Nodes of a running server; empty: start one. */
  urls: string[]
}

export const usage = `npm run replay -- FILE [options]

  FILE           a chat log: a line of JSON for each message, { "log": …, "at": …, "from": …, "text": … }
  --burst        all logs at once, up to 20 unacknowledged messages a client (without it: log after log, each message
                 sent when the one before it was acknowledged)
  --url <url>    a running server, started with RATE_LIMITS=off; once for each of its nodes. Its accounts and groups
                 stay there. Without it a server is started, and removed at the end

  DATABASE_URL   a PostgreSQL server on which to make a database for the server that is started, dropped at the end;
                 without it the embedded database is used, in a temporary folder
  REDIS_URL      with DATABASE_URL: start two nodes, with the clients spread over both

Ends with 1 where a store, the server's history or the file differ, with 2 where it could not run.`

/**
 * Reads the command line.
 * @returns the options, or the text to print instead of running
 * @throws TypeError saying which argument is not understood
 */
export function readOptions(args: string[]): ReplayOptions | string {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      burst: { type: 'boolean', default: false },
      url: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return usage
  const [file, ...more] = positionals
  if (file === undefined || more.length > 0) throw new TypeError('Name one file.')
  for (const url of values.url) {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) throw new TypeError(`--url ${url}: not an http address`)
  }
  return { file, burst: values.burst, urls: values.url }
}
