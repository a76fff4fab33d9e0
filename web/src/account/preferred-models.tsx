import { ArrowUp, X } from 'lucide'
import type { Model } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { IconButton } from '../ui/button.tsx'
import { Choice } from '../ui/field.tsx'
import { Awaited, useFetched } from '../ui/pages.tsx'

/** As the server takes them. */
const maxModels = 20

/** Models, the one liked best first. Chosen ones that this server does not have any more stay until they are taken out. */
export function PreferredModels(options: { chosen: readonly string[]; onChange(chosen: string[]): void }) {
  const { chosen, onChange } = options
  const { value, problem } = useFetched<{ items: Model[] }>('/v1/models')
  if (!value) return <Awaited problem={problem} />
  const labelOf = (id: string): string => value.items.find((model) => model.id === id)?.label ?? id
  const others = value.items.filter(({ id }) => !chosen.includes(id))

  const raise = (at: number): void =>
    onChange(chosen.toSpliced(at, 1).toSpliced(at - 1, 0, ...chosen.slice(at, at + 1)))

  return (
    <>
      {chosen.length > 0 && (
        <ol class="settings-rows">
          {chosen.map((id, at) => (
            <li key={id}>
              <span class="settings-main">{labelOf(id)}</span>
              {at > 0 && (
                <IconButton
                  icon={ArrowUp}
                  label={t('account:raise', { name: labelOf(id) })}
                  onPress={() => raise(at)}
                />
              )}
              <IconButton
                icon={X}
                label={t('account:takeOut', { name: labelOf(id) })}
                onPress={() => onChange(chosen.filter((one) => one !== id))}
              />
            </li>
          ))}
        </ol>
      )}
      {value.items.length === 0 && <p class="quiet">{t('account:noModels')}</p>}
      {others.length > 0 && chosen.length < maxModels && (
        <Choice
          key={chosen.length}
          label={t('account:addModel')}
          value=""
          of={[{ id: '', name: t('account:pickModel') }, ...others.map(({ id, label }) => ({ id, name: label }))]}
          onValue={(id) => id && onChange([...chosen, id])}
        />
      )}
    </>
  )
}
