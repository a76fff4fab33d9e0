import 'dotenv/config'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { createApp } from './app.ts'
import { ConfigError, loadConfig } from './config.ts'
import { FolderInUseError } from './database/folder-lock.ts'
import { AppError } from './kernel/errors.ts'
import { createLog } from './log.ts'

const usage = `npm run create-admin -- --username NAME --email ADDRESS

Makes an account with the role super_admin, or gives the role to the one that is there. The password of a new account is
taken from the environment variable ADMIN_PASSWORD, or else from the standard input; where nothing is given, one is made
and printed.
`

/** What the operator got wrong; its message is meant to be printed as it is. */
class UsageError extends Error {}

function readArguments(): { username: string; email: string | undefined } {
  try {
    const { values } = parseArgs({ options: { username: { type: 'string' }, email: { type: 'string' } } })
    if (values.username) return { username: values.username, email: values.email }
  } catch {}
  throw new UsageError(usage)
}

/** Reads a line that is typed at the terminal, without showing it. */
async function askHidden(question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  const givenUp = new Promise<never>((_resolve, reject) => {
    reader.once('close', () => reject(new UsageError('Nothing was changed.\n')))
  })
  try {
    return await Promise.race([reader.question(''), givenUp])
  } finally {
    givenUp.catch(() => {})
    reader.close()
    process.stderr.write('\n')
  }
}

/** What the operator gives, or nothing. */
async function givenPassword(): Promise<string> {
  const { ADMIN_PASSWORD } = process.env
  if (ADMIN_PASSWORD) return ADMIN_PASSWORD
  if (process.stdin.isTTY) return askHidden('Password (empty: one is made): ')
  const [line = ''] = (await text(process.stdin)).split(/\r?\n/)
  return line
}

async function main(): Promise<void> {
  const { username, email } = readArguments()
  const config = loadConfig(process.env)
  let made: string | undefined
  async function choosePassword(): Promise<string> {
    const given = await givenPassword()
    if (given) return given
    made = randomBytes(18).toString('base64url')
    return made
  }

  // the whole server, but for its port: what other features add to a new account is added to this one, too
  const app = await createApp(config, createLog('silent', config.nodeId))
  try {
    const outcome = await app.appointAdmin({ username, email, choosePassword })
    if (outcome === 'created') process.stdout.write(`The account ${username} is made, with the role super_admin.\n`)
    if (outcome === 'promoted')
      process.stdout.write(`${username} has the role super_admin now. The password stays as it is.\n`)
    if (outcome === 'unchanged') process.stdout.write(`${username} has the role super_admin already.\n`)
    if (outcome === 'created' && made) process.stdout.write(`Its password, which is not shown again: ${made}\n`)
  } finally {
    await app.close()
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const known = [ConfigError, FolderInUseError, AppError, UsageError].some((kind) => error instanceof kind)
    process.stderr.write(`${known ? (error as Error).message.trimEnd() : (error as Error).stack}\n`)
    process.exit(1)
  },
)
