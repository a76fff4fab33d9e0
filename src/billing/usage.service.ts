import { sql } from 'kysely'
import { z } from 'zod'
import type { Database } from '../database/database.ts'
import type { Clock } from '../kernel/clock.ts'
import { decodeCursor, encodeCursor } from '../kernel/cursors.ts'
import type { Jobs } from '../kernel/ports.ts'
import type { Input, Output } from './billing.contract.ts'
import { type MonthlyUsageRow, monthlyUsageColumns, presentMonthlyUsage } from './usage.presenter.ts'
import { checkRun, type RunUsage, writeUsageLog } from './usage-log.ts'

const monthKey = z.tuple([z.int().min(2000).max(2200), z.int().min(1).max(12)])

interface UsageDependencies {
  database: Database
  jobs: Jobs
  clock: Clock
}

/** Owns `usage_logs` as a whole, and what is computed of them for the operator. The meter writes those of users. */
export function createUsage({ database, jobs, clock }: UsageDependencies) {
  jobs.define({
    name: 'usage-months',
    expireSeconds: 600,
    retries: 2,
    schedule: '10 0 * * *',
    // runs of the month before may have been settled after its last hour was computed
    async handle() {
      const now = clock()
      const before = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1))
      for (const month of [before, now]) await aggregate(month.getUTCFullYear(), month.getUTCMonth() + 1)
    },
  })

  /**
   * Logs a run of someone without an account; it is nobody's to pay.
   * @throws AppError invalid_request
   */
  async function logAnonymous(usage: RunUsage): Promise<{ usageLogId: string }> {
    checkRun(usage)
    const usageLogId = await database.transact((em) =>
      writeUsageLog(em, usage, { userId: null, credits: 0, at: clock() }),
    )
    return { usageLogId }
  }

  /**
   * Computes the figures of a month (UTC) from its logs; done again, it gives the same. A month whose logs are gone keeps
   * the figures that it has.
   */
  async function aggregate(year: number, month: number): Promise<void> {
    const [start, end] = [month - 1, month].map((index) => new Date(Date.UTC(year, index, 1)).toISOString())
    // costs are summed as they were before each log was rounded
    await database.query(sql`
      insert into usage_log_monthly_aggregates as kept (year, month, total_runs, total_models_requested,
        total_models_successful, total_models_failed, total_input_tokens, total_output_tokens, total_effective_tokens,
        avg_input_tokens, avg_output_tokens, avg_output_ratio, total_credits_used, avg_credits_per_run,
        total_actual_cost, total_estimated_cost, model_breakdown)
      with logs as (
        select * from usage_logs where created_at >= ${start} and created_at < ${end}
      ), models as (
        select m."modelId" as id, count(*) as runs, count(*) filter (where not m.succeeded) as failed,
          sum(m."inputTokens") as input, sum(m."outputTokens") as output, sum(m.credits) as credits,
          coalesce(sum(m.cost), 0) as cost
        from logs cross join lateral jsonb_to_recordset(model_usage)
          as m ("modelId" text, "inputTokens" bigint, "outputTokens" bigint, succeeded boolean, cost numeric, credits bigint)
        group by m."modelId"
      )
      select ${year}::int, ${month}::int, count(*), sum(models_requested), sum(models_successful), sum(models_failed),
        sum(input_tokens), sum(output_tokens), sum(effective_tokens), avg(input_tokens), avg(output_tokens),
        coalesce(sum(output_tokens) / nullif(sum(input_tokens), 0), 0), sum(credits_used), avg(credits_used),
        coalesce((select sum(cost) from models), 0), sum(estimated_cost),
        coalesce((
          select jsonb_object_agg(id, jsonb_build_object('runs', runs, 'failed', failed, 'inputTokens', input,
            'outputTokens', output, 'credits', credits, 'cost', cost))
          from models
        ), '{}')
      from logs having count(*) > 0
      on conflict (year, month) do update set
        total_runs = excluded.total_runs, total_models_requested = excluded.total_models_requested,
        total_models_successful = excluded.total_models_successful, total_models_failed = excluded.total_models_failed,
        total_input_tokens = excluded.total_input_tokens, total_output_tokens = excluded.total_output_tokens,
        total_effective_tokens = excluded.total_effective_tokens, avg_input_tokens = excluded.avg_input_tokens,
        avg_output_tokens = excluded.avg_output_tokens, avg_output_ratio = excluded.avg_output_ratio,
        total_credits_used = excluded.total_credits_used, avg_credits_per_run = excluded.avg_credits_per_run,
        total_actual_cost = excluded.total_actual_cost, total_estimated_cost = excluded.total_estimated_cost,
        model_breakdown = excluded.model_breakdown`)
  }

  async function months({ cursor, limit }: Input<'staff:usage-monthly'>): Promise<Output<'staff:usage-monthly'>> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor, monthKey)
    const rows = await database.query(
      sql<MonthlyUsageRow>`
        select ${monthlyUsageColumns} from usage_log_monthly_aggregates
        where ${after ? sql`(year, month) < (${after[0]}, ${after[1]})` : sql`true`}
        order by year desc, month desc limit ${limit + 1}`,
    )
    const items = rows.slice(0, limit).map(presentMonthlyUsage)
    const last = items.at(-1)
    return { items, ...(rows.length > limit && last && { nextCursor: encodeCursor([last.year, last.month]) }) }
  }

  return { logAnonymous, aggregate, months }
}
