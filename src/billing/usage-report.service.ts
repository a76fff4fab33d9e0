import { type RawBuilder, sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { AppError } from '../kernel/errors.ts'
import type { Input, Output } from './billing.contract.ts'
import { presentUsageFigures, type UsageRow } from './usage.presenter.ts'

const dayMs = 86_400_000
const standardDays = 30
const mostDays = 366
const mostGroups = 200

/** What users see of their own runs, in days of their time zone. */
export function createUsageReport({ database, clock }: { database: Database; clock: Clock }) {
  /** @throws AppError invalid_request for days that are the wrong way round or too many */
  async function report(userId: string, { groupBy, ...days }: Input<'usage:get'>): Promise<Output<'usage:get'>> {
    const timezone = await zoneOf(userId)
    const { from, to } = await range(days, timezone)
    // a day begins when it does in the zone, also where the clocks are put forward
    const logs = sql`
      select *, to_char(created_at at time zone ${timezone}, 'YYYY-MM-DD') as day from usage_logs
      where user_id = ${userId} and created_at >= ${from}::date::timestamp at time zone ${timezone}
        and created_at < (${to}::date + 1)::timestamp at time zone ${timezone}`
    const [items, [total]] = await Promise.all([
      database.query(groups[groupBy](logs)),
      database.query(sql<UsageRow>`select null as key, ${sums} from (${logs}) log`),
    ])
    return {
      from,
      to,
      timezone,
      groupBy,
      items: items.map((row) => ({ ...keyOf(groupBy, row.key), ...presentUsageFigures(row) })),
      total: presentUsageFigures(total as UsageRow),
    }
  }

  /** The user's time zone, if the database knows it too. */
  async function zoneOf(userId: string): Promise<string> {
    const [row] = await database.query(
      sql<{ timezone: string }>`
        select timezone from user_preferences
        where user_id = ${userId} and timezone <> 'UTC' and timezone in (select name from pg_timezone_names)`,
    )
    return row?.timezone ?? 'UTC'
  }

  async function range(
    { from, to }: { from?: string | undefined; to?: string | undefined },
    timezone: string,
  ): Promise<{ from: string; to: string }> {
    const [today] = await database.query(
      sql<{ day: string }>`
        select to_char(${clock().toISOString()}::timestamptz at time zone ${timezone}, 'YYYY-MM-DD') as day`,
    )
    const last = to ?? today?.day ?? ''
    const first = from ?? dayOf(Date.parse(last) - (standardDays - 1) * dayMs)
    const days = (Date.parse(last) - Date.parse(first)) / dayMs + 1
    if (days < 1) throw wrongDays('must not lie after `to`')
    if (days > mostDays) throw wrongDays(`must lie at most ${mostDays} days before the end`)
    return { from: first, to: last }
  }

  return { report }
}

const sums = sql`
  count(*) as runs, coalesce(sum(input_tokens), 0) as "inputTokens", coalesce(sum(output_tokens), 0) as "outputTokens",
  coalesce(sum(credits_used), 0) as credits`

/** Each as a query over the logs; a run of several models counts once for each of them. */
const groups: Record<Input<'usage:get'>['groupBy'], (logs: RawBuilder<unknown>) => RawBuilder<UsageRow>> = {
  day: (logs) => sql`select day as key, ${sums} from (${logs}) log group by day order by day`,
  model: (logs) => sql`
    select m."modelId" as key, count(distinct log.id) as runs, sum(m."inputTokens") as "inputTokens",
      sum(m."outputTokens") as "outputTokens", sum(m.credits) as credits
    from (${logs}) log cross join lateral jsonb_to_recordset(model_usage)
      as m ("modelId" text, "inputTokens" bigint, "outputTokens" bigint, credits bigint)
    group by m."modelId" order by sum(m."inputTokens" + m."outputTokens") desc, key limit ${mostGroups}`,
  conversation: (logs) => sql`
    select conversation_id as key, ${sums} from (${logs}) log
    group by conversation_id order by sum(total_tokens) desc, key limit ${mostGroups}`,
}

function keyOf(groupBy: Input<'usage:get'>['groupBy'], key: string | null): object {
  if (key === null) return {}
  return { [{ day: 'day', model: 'modelId', conversation: 'conversationId' }[groupBy]]: key }
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

const wrongDays = (message: string) =>
  new AppError('invalid_request', `from: ${message}`, { errors: [{ path: 'from', message }] })
