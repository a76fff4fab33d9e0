/**
 * `npm run replay`: sends a chat log through a server, each message by its own user's client, and compares the stores of
 * all clients with the server's history and with the file.
 */
import { readFile } from 'node:fs/promises'
import { type Chat, parseChat } from './replay/chat.ts'
import { checkGroup, type Verdict } from './replay/check.ts'
import { createGroups, type Group } from './replay/group.ts'
import { type ReplayOptions, readOptions, usage } from './replay/options.ts'
import { connect, dismiss, type Person, register } from './replay/people.ts'
import { build, type Place, visit } from './replay/place.ts'
import { type Row, renderTable, since, sum, whole } from './replay/report.ts'
import { sendAtOnce, sendInOrder, type Timing } from './replay/sending.ts'

const { DATABASE_URL, REDIS_URL } = process.env
/** What follows the first few is rarely another mistake. */
const maxShown = 5

try {
  const options = optionsOrExit()
  const chat = parseChat(await readFile(options.file, 'utf8'))
  const place = await (options.urls.length > 0 ? visit(options.urls) : build(DATABASE_URL, REDIS_URL))
  try {
    process.exitCode = (await replay(chat, place, options)) ? 0 : 1
  } finally {
    await place.close()
  }
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 2
}

function optionsOrExit(): ReplayOptions {
  try {
    const read = readOptions(process.argv.slice(2))
    if (typeof read !== 'string') return read
    console.log(read)
    process.exit(0)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`)
    process.exit(2)
  }
}

/** Says whether all is identical. */
async function replay(chat: Chat, place: Place, { burst }: ReplayOptions): Promise<boolean> {
  const begunAt = performance.now()
  console.log(`${place.description}; ${burst ? 'burst: all logs at once' : 'in order: log after log'}`)
  const people = await register(chat, place.urls)
  console.log(`${whole(people.length)} accounts in ${since(begunAt)}`)
  try {
    const connectingAt = performance.now()
    await connect(people)
    let lost = 0
    for (const { client } of people) client.on('disconnected', ({ reason }) => (lost += isOwnDoing(reason) ? 0 : 1))
    const groups = await createGroups(chat.logs, people)
    console.log(
      `${whole(people.length)} clients connected and ${groups.length} groups begun in ${since(connectingAt)}\n`,
    )

    const { rows, verdicts } = await (burst ? replayAtOnce : replayInOrder)(chat, groups, people)
    return report(rows, verdicts, lost)
  } finally {
    await Promise.all(people.map(dismiss))
  }
}

/** Socket.IO's word for a socket that its client has closed. */
function isOwnDoing(reason: string): boolean {
  return reason === 'io client disconnect'
}

type Outcome = { rows: Row[]; verdicts: Verdict[] }

/** Each log is compared when it has been sent, and its messages forgotten: what is held at once is one log's. */
async function replayInOrder(chat: Chat, groups: Group[], people: Person[]): Promise<Outcome> {
  const rows: Row[] = []
  const verdicts: Verdict[] = []
  const timings: Timing[] = []
  for (const [index, group] of groups.entries()) {
    const timing = await sendInOrder(group, people)
    const verdict = await checkGroup(group, groups, chat, true)
    rows.push(rowOf(group, verdict, timing))
    verdicts.push(verdict)
    timings.push(timing)
    const needed = new Set(groups.slice(index + 1).flatMap(({ members }) => members))
    await Promise.all(group.members.filter((member) => !needed.has(member)).map(dismiss))
  }
  return { rows: [...rows, totalOf(groups, people, verdicts, sum(timings))], verdicts }
}

async function replayAtOnce(chat: Chat, groups: Group[], people: Person[]): Promise<Outcome> {
  const timing = await sendAtOnce(groups, people)
  const verdicts: Verdict[] = []
  for (const group of groups) verdicts.push(await checkGroup(group, groups, chat, false))
  const rows = groups.map((group, index) => rowOf(group, verdicts[index]))
  return { rows: [...rows, totalOf(groups, people, verdicts, timing)], verdicts }
}

function rowOf(group: Group, verdict: Verdict | undefined, timing?: Timing): Row {
  const result = verdict?.differences.length === 0 ? 'identical' : 'DIFFERENT'
  return { groups: [group], name: group.log.name, people: group.members.length, timing, result }
}

function totalOf(groups: Group[], people: Person[], verdicts: Verdict[], timing: Timing): Row {
  const identical = verdicts.filter(({ differences }) => differences.length === 0).length
  return { groups, name: 'total', people: people.length, timing, result: `${identical} of ${groups.length} identical` }
}

function report(rows: Row[], verdicts: Verdict[], lost: number): boolean {
  console.log(renderTable(rows))
  const stores = rows.slice(0, -1).reduce((total, { people }) => total + people, 0)
  const reloaded = verdicts.reduce((total, verdict) => total + verdict.reloaded, 0)
  console.log(`\n${whole(stores)} stores compared, ${reloaded} of them loaded anew; ${lost} connections lost`)
  const differences = verdicts.flatMap((verdict) => verdict.differences)
  for (const difference of differences.slice(0, maxShown)) console.log(`  ${difference}`)
  if (differences.length > maxShown) console.log(`  … and ${differences.length - maxShown} more`)
  return differences.length === 0
}
