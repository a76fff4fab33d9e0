import { useEffect, useId } from 'preact/hooks'
import { t } from '../i18n.ts'
import { loadModels, models } from './models.ts'

/** As many as the server takes. */
const maxModels = 10

/** Chooses models: one answers alone, several side by side. Keeps at least one. */
export function ModelPicker({ chosen, onChoose }: { chosen: readonly string[]; onChoose(ids: string[]): void }) {
  const id = useId()
  useEffect(() => {
    loadModels().catch(() => {})
  }, [])
  const toggle = (modelId: string): void => {
    const rest = chosen.filter((one) => one !== modelId)
    if (rest.length < chosen.length) rest.length > 0 && onChoose(rest)
    else if (chosen.length < maxModels) onChoose([...chosen, modelId])
  }
  return (
    <fieldset class="model-picker" aria-describedby={id}>
      <legend>{t('ai:models')}</legend>
      {models.value.map((model) => (
        <label key={model.id} class="model-choice">
          <input type="checkbox" checked={chosen.includes(model.id)} onChange={() => toggle(model.id)} />
          <span>
            {model.label}
            <small class="quiet">{priceOf(model)}</small>
          </span>
        </label>
      ))}
      <p id={id} class="field-hint">
        {chosen.length > 1 ? t('ai:sideBySide', { count: chosen.length }) : t('ai:pickMore')}
      </p>
    </fieldset>
  )
}

const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' })

function priceOf({ inputPrice, outputPrice }: { inputPrice: number; outputPrice: number }): string {
  if (inputPrice === 0 && outputPrice === 0) return t('ai:free')
  return t('ai:price', { input: dollars.format(inputPrice), output: dollars.format(outputPrice) })
}
