import type { TargetName, TrafficResult } from './jobs.ts'
import type { Lab, Setting } from './lab.ts'
import { hasProc, median } from './measure.ts'
import { milliseconds, perSecond, type Row } from './report.ts'
import type { Work } from './work.ts'
import { createRooms, type World } from './world.ts'

/** What is asked of Kintsugi beside a peer: so many times its figure, at least or at most. */
type Bound = { peer: 'bare' | 'naive'; factor: number; is: 'least' | 'most' }

type TrafficWork = {
  name: string
  title: string
  unit: string
  world: () => World
  figure: (result: TrafficResult) => number
  format: (figure: number) => string
  bounds: Bound[]
}

const sendsPerSecond = { unit: 'sends', format: perSecond, figure: (r: TrafficResult) => r.sends / r.seconds }
const deliveriesPerSecond = {
  unit: 'deliveries',
  format: perSecond,
  figure: (r: TrafficResult) => r.deliveries / r.seconds,
}
const ackLatency = { unit: 'p50', format: milliseconds, figure: (r: TrafficResult) => r.p50 }
const tens = () => createRooms(20, 10, 5)

const works: TrafficWork[] = [
  {
    name: 'pairs',
    title: '100 pairs, 100 senders',
    ...sendsPerSecond,
    world: () => createRooms(100, 2, 1),
    bounds: [
      { peer: 'bare', factor: 0.5, is: 'least' },
      { peer: 'naive', factor: 2, is: 'least' },
    ],
  },
  {
    name: 'tens',
    title: '20 groups of 10, 100 senders',
    ...deliveriesPerSecond,
    world: tens,
    bounds: [{ peer: 'bare', factor: 1.2, is: 'least' }],
  },
  {
    name: 'fifties',
    title: '5 groups of 50, 100 senders',
    ...deliveriesPerSecond,
    world: () => createRooms(5, 50, 20),
    bounds: [{ peer: 'bare', factor: 2, is: 'least' }],
  },
  {
    name: 'two-hundred',
    title: 'one group of 200, 50 senders',
    ...deliveriesPerSecond,
    world: () => createRooms(1, 200, 50),
    bounds: [{ peer: 'bare', factor: 3.5, is: 'least' }],
  },
  {
    name: 'one-pair',
    title: 'one pair, one sender, idle server',
    ...ackLatency,
    world: () => createRooms(1, 2, 1),
    bounds: [{ peer: 'naive', factor: 1.5, is: 'most' }],
  },
]

/** Messages sent and delivered, against the peers. */
export const trafficWorks: Work[] = works.map((work) => ({
  name: work.name,
  title: `${work.title}: ${work.unit}`,
  async run(lab) {
    await lab.prepare(work.world())
    const results = await inTurn(
      lab,
      lab.options.targets.map((target) => ({ key: target, target })),
    )
    return { row: compare(work, results), raw: results }
  },
}))

/** What a second node costs: the same traffic on one node and on two, which hear each other through Redis. */
export const twoNodes: Work = {
  name: 'two-nodes',
  title: 'two nodes over Redis, 20 groups of 10: server CPU per delivery',
  lacks: ({ options, storage, redisUrl }) => {
    if (!options.targets.includes('kintsugi')) return 'measures Kintsugi only'
    if (!hasProc) return 'needs /proc'
    return storage.embedded || !redisUrl ? 'needs DATABASE_URL and REDIS_URL' : undefined
  },
  async run(lab) {
    await lab.prepare(tens())
    const results = await inTurn(lab, [
      { key: 'one', target: 'kintsugi', nodes: 1 },
      { key: 'two', target: 'kintsugi', nodes: 2 },
    ])
    const microseconds = (key: 'one' | 'two') =>
      median(results[key].map(({ serverCpu, deliveries }) => (serverCpu * 1e6) / deliveries))
    const ratio = microseconds('two') / microseconds('one')
    const row: Row = {
      work: this.title,
      bare: '',
      naive: '',
      kintsugi: `${microseconds('two').toFixed(1)} µs`,
      ratio: `${ratio.toFixed(2)} × one node (${microseconds('one').toFixed(1)} µs)`,
      required: '≤ 1.67 × one node',
      ok: ratio <= 1.67,
      notes: [],
    }
    return { row, raw: results }
  },
}

type Contender<K> = Setting & { key: K; target: TargetName }

/** Rounds in which every contender has a turn, another one first each time: what changes over time meets them all. */
async function inTurn<K extends string>(lab: Lab, contenders: Contender<K>[]): Promise<Record<K, TrafficResult[]>> {
  const results = Object.fromEntries(contenders.map(({ key }) => [key, []])) as unknown as Record<K, TrafficResult[]>
  const { rounds, seconds, warmUpSeconds } = lab.options
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + turn) % contenders.length]
      if (!contender) continue
      const result = await lab.measure(contender.target, { kind: 'traffic', seconds, warmUpSeconds }, contender)
      results[contender.key].push(result)
    }
  }
  return results
}

function compare(work: TrafficWork, results: Partial<Record<TargetName, TrafficResult[]>>): Row {
  const figures: Partial<Record<TargetName, number>> = {}
  for (const [target, rounds] of Object.entries(results) as [TargetName, TrafficResult[]][]) {
    figures[target] = median(rounds.map(work.figure))
  }
  const shown = (target: TargetName) => (figures[target] === undefined ? '' : work.format(figures[target]))
  const ratios = work.bounds.map((bound) => ({
    ...bound,
    ratio: (figures.kintsugi ?? NaN) / (figures[bound.peer] ?? NaN),
  }))
  const judged = ratios.every(({ ratio }) => !Number.isNaN(ratio))
  return {
    work: `${work.title}: ${work.unit}`,
    bare: shown('bare'),
    naive: shown('naive'),
    kintsugi: shown('kintsugi'),
    ratio: judged ? ratios.map(({ ratio, peer }) => `${ratio.toFixed(2)} × ${peer}`).join(', ') : '',
    required: ratios.map(({ is, factor, peer }) => `${is === 'least' ? '≥' : '≤'} ${factor} × ${peer}`).join(', '),
    ok: judged
      ? ratios.every(({ ratio, is, factor }) => (is === 'least' ? ratio >= factor : ratio <= factor))
      : undefined,
    notes: [],
  }
}
