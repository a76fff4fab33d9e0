import type { ExportJob } from './own-data.contract.ts'

/** For so many hours a file is there, and no other is begun. */
export const keptHours = 24

/** What the presenter reads of an export; times as the driver gives them. */
export interface ExportRow {
  id: string
  userId: string
  status: ExportJob['status']
  completed: number
  total: number
  bytes: number | null
  finishedAt: string | null
}

/** An export as its user sees it. */
export function presentExport({ id, status, completed, total, bytes, finishedAt }: ExportRow): ExportJob {
  const job = { jobId: id, kind: 'export' as const, status, completed, total }
  if (status !== 'completed' || bytes === null || finishedAt === null) return job
  const expiresAt = new Date(new Date(finishedAt).getTime() + keptHours * 3_600_000).toISOString()
  return { ...job, result: { url: `/v1/me/export/${id}/file`, bytes, expiresAt } }
}
