import { Download, PackageOpen } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import type { ExportJob } from '../../../src/client/index.ts'
import { formatBytes, formatDateTime, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Problem, useSending } from '../ui/problem.tsx'
import { Card } from './card.tsx'
import { saveFile } from './export-file.ts'

/** How often a file that is being made is asked after, beside what is heard of it, in milliseconds. */
const lookMs = 5_000

/** One's own data as a file: made by the server, then saved from here. */
export function ExportCard() {
  const [job, setJob] = useState<ExportJob>()
  const { problem, isBusy, send } = useSending()
  const isMaking = job?.status === 'queued' || job?.status === 'running'

  // begins it, or says how far it is
  const look = async (): Promise<void> => setJob(await client.rest.request<ExportJob>('GET', '/v1/me/export'))

  useEffect(() => {
    if (!isMaking) return
    const stop = client.on('job:changed', (changed) => {
      if (changed.jobId === job?.jobId) setJob(changed as ExportJob)
    })
    const timer = setInterval(() => void look().catch(() => {}), lookMs)
    return () => {
      stop()
      clearInterval(timer)
    }
  }, [isMaking, job?.jobId])

  return (
    <Card title={t('account:export')} hint={t('account:exportHint')}>
      {isMaking && (
        <p class="settings-row" role="status">
          <progress aria-label={t('account:making')} value={job.completed} max={Math.max(1, job.total)} />
          <span class="quiet">{t('account:making')}</span>
        </p>
      )}
      {job?.status === 'failed' && <Problem text={t('account:exportFailed')} />}
      {job?.status === 'completed' && job.result ? (
        <Saving {...job.result} />
      ) : (
        !isMaking && (
          <Button icon={PackageOpen} disabled={isBusy} onPress={() => void send(look)}>
            {t('account:makeExport')}
          </Button>
        )
      )}
      <Problem text={problem} />
    </Card>
  )
}

function Saving({ url, bytes, expiresAt }: NonNullable<ExportJob['result']>) {
  const { problem, isBusy, send } = useSending()
  return (
    <>
      <p role="status">{t('account:exportReady', { size: formatBytes(bytes), until: formatDateTime(expiresAt) })}</p>
      <Button
        kind="primary"
        icon={Download}
        disabled={isBusy}
        onPress={() => void send(() => saveFile(url, 'kintsugi-export.zip'))}
      >
        {t('account:download')}
      </Button>
      <Problem text={problem} />
    </>
  )
}
