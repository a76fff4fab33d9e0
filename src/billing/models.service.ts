import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { notFound } from '../kernel/errors.ts'

/** Runs on the server itself, by fixed rules: it needs no provider and costs nothing. */
export const offlineModel = 'offline'

/** A model of the catalogue. */
export interface CatalogueModel {
  id: string
  label: string
  provider: string
  /** Tokens. */
  contextWindow: number
  /** US dollars per million tokens. */
  inputPrice: number
  outputPrice: number
}

/** A model that the configuration names. */
interface ConfiguredModel {
  id: string
  provider: string
  /** Tokens. */
  contextWindow: number
}

type Row = Omit<CatalogueModel, 'inputPrice' | 'outputPrice'> & { inputPrice: string; outputPrice: string }

const columns = sql<Row>`
  id, label, provider, context_window as "contextWindow", input_price as "inputPrice", output_price as "outputPrice"`

export type Models = ReturnType<typeof createModels>

/**
 * Owns the catalogue, `ai_models`: which language models there are, and which can be asked. A model is usable where it is
 * active and its provider configured; the offline one always is, and shows itself only where it is the only one.
 */
export function createModels({
  database,
  providers,
}: {
  database: Pick<Database, 'query'>
  /** The names of those that are configured. */
  providers: string[]
}) {
  const isUsable = sql<boolean>`(is_active and provider = any (${providers}::text[]) or id = ${offlineModel})`

  /** Those that can be asked, in the order of the catalogue. */
  async function list(): Promise<CatalogueModel[]> {
    const rows = await database.query(
      sql<Row>`select ${columns} from ai_models where ${isUsable} order by sort_order, id`,
    )
    const online = rows.filter(({ id }) => id !== offlineModel)
    return (online.length > 0 ? online : rows).map(present)
  }

  /**
   * Checks that all of these can be asked.
   * @throws AppError not_found, which names the first that cannot
   */
  async function requireUsable(ids: string[]): Promise<void> {
    const rows = await database.query(
      sql<{ id: string }>`select id from ai_models where id = any (${ids}::text[]) and ${isUsable}`,
    )
    const usable = new Set(rows.map(({ id }) => id))
    const missing = ids.find((id) => !usable.has(id))
    if (missing !== undefined) throw notFound(`model: ${missing}`)
  }

  /** A model of the catalogue, whether it can be asked now or not; undefined where there is none. */
  async function find(id: string): Promise<(CatalogueModel & { usable: boolean }) | undefined> {
    const [row] = await database.query(
      sql<Row & { usable: boolean }>`select ${columns}, ${isUsable} as usable from ai_models where id = ${id}`,
    )
    return row && { ...present(row), usable: row.usable }
  }

  /** Adds those that the catalogue does not have, at its end and at no price; what is there stays as it is. */
  async function ensure(models: ConfiguredModel[]): Promise<void> {
    const [ids, names, windows] = [
      models.map(({ id }) => id),
      models.map(({ provider }) => provider),
      models.map(({ contextWindow }) => contextWindow),
    ]
    await database.query(sql`
      insert into ai_models (id, provider, label, context_window, input_price, output_price, sort_order)
      select m.id, m.provider, m.id, m.context_window, 0, 0,
        (select coalesce(max(sort_order), 0) from ai_models) + m.place
      from unnest(${ids}::text[], ${names}::text[], ${windows}::int[]) with ordinality
        as m (id, provider, context_window, place)
      on conflict do nothing`)
  }

  return { list, requireUsable, find, ensure }
}

function present({ id, label, provider, contextWindow, inputPrice, outputPrice }: Row): CatalogueModel {
  return { id, label, provider, contextWindow, inputPrice: Number(inputPrice), outputPrice: Number(outputPrice) }
}
