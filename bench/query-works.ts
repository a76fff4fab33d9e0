import type { Probe } from './jobs.ts'
import type { Lab } from './lab.ts'
import { milliseconds, type Row } from './report.ts'
import type { Work } from './work.ts'
import { createCrowd, createPeople, createRoom, type World } from './world.ts'

const clients = 2000
const conversationsEach = 200
const historyRepeats = 500
const listRepeats = 100
/**
 * How much longer the list may take of a user in 20 times as many conversations. A query each would take 20 times as
 * long and more; one query finds its 1,000 rows and sorts them, where that of 50 rows has next to nothing to do.
 */
const maxListFactor = 10

const lacksKintsugi = ({ options }: Lab) =>
  options.targets.includes('kintsugi') ? undefined : 'measures Kintsugi only'

const reconnect: Work = {
  name: 'reconnect',
  title: `${clients.toLocaleString('en')} clients reconnect at once, ${conversationsEach} conversations each: p99`,
  lacks: lacksKintsugi,
  async run(lab) {
    await lab.prepare(createCrowd(clients, conversationsEach, 10, 3))
    const result = await lab.measure('kintsugi', { kind: 'reconnect' })
    const row: Row = {
      ...emptyRow(this),
      kintsugi: `${(result.p99 / 1000).toFixed(2)} s`,
      ratio: `${result.synced} synced`,
      required: 'all synced, no error',
      ok: result.synced === result.clients && result.errors.length === 0,
      notes: result.errors.slice(0, 3),
    }
    return { row, raw: result }
  },
}

const history: Work = {
  name: 'history',
  title: '50 messages of a conversation of 1,000,000: p50',
  lacks: (lab) => lacksKintsugi(lab) ?? (lab.storage.embedded ? 'needs DATABASE_URL' : undefined),
  async run(lab) {
    const lengths = [1000, 1_000_000]
    const world: World = {
      // a direct conversation exists once for a pair: a third makes groups of them
      people: createPeople(3),
      rooms: lengths.map((length) => createRoom([0, 1, 2], 0, length)),
    }
    await lab.prepare(world)
    const probes = world.rooms.map((room) => historyProbe(room.id, room.length))
    const result = await lab.measure('kintsugi', { kind: 'queries', probes, repeats: historyRepeats })
    const [small = NaN, large = NaN] = result.p50
    return { row: bounded(this, large, small, 'one of 1,000', 1.5), raw: result }
  },
}

/** Pages from all over the conversation, and the newest. */
function historyProbe(conversationId: string, length: number): Probe {
  const inputs = Array.from({ length: historyRepeats }, (_, index) =>
    index % 10 === 0
      ? { conversationId, limit: 50 }
      : { conversationId, limit: 50, before: 51 + Math.floor(Math.random() * (length - 50)) },
  )
  return { person: 0, command: 'message:history', inputs }
}

const list: Work = {
  name: 'list',
  title: 'conversation list of a user in 1,000 conversations: p50',
  lacks: lacksKintsugi,
  async run(lab) {
    const company = 100
    const world: World = { people: createPeople(2 + company), rooms: [] }
    for (const [person, count] of [50, 1000].entries()) {
      for (let room = 0; room < count; room++) {
        const others = Array.from({ length: 4 }, (_, index) => 2 + ((room + index * 7) % company))
        world.rooms.push(createRoom([person, ...others], 0, 10))
      }
    }
    await lab.prepare(world)
    const probes = [0, 1].map((person): Probe => ({ person, command: 'conversation:list', inputs: [{ limit: 50 }] }))
    const result = await lab.measure('kintsugi', { kind: 'queries', probes, repeats: listRepeats })
    const [few = NaN, many = NaN] = result.p50
    return { row: bounded(this, many, few, 'one in 50', maxListFactor), raw: result }
  },
}

/** Work where cost must not grow with size, or little: measured on Kintsugi alone. */
export const queryWorks: Work[] = [reconnect, history, list]

function bounded(work: Work, figure: number, other: number, than: string, factor: number): Row {
  return {
    ...emptyRow(work),
    kintsugi: milliseconds(figure),
    ratio: `${(figure / other).toFixed(2)} × ${than} (${milliseconds(other)})`,
    required: `≤ ${factor} × ${than}`,
    ok: figure <= factor * other,
  }
}

function emptyRow(work: Work): Row {
  return { work: work.title, bare: '', naive: '', kintsugi: '', ratio: '', required: '', ok: undefined, notes: [] }
}
