/** What admission is asked about one write, and what a rule of it may answer. The order of rules stands in `chain.ts`. */
import type { ResourceDefinition, Subresource, WriteOptions } from '../registry/resource.ts';
import type { JsonObject } from './json-value.ts';

export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE';
  /** As requested: other served versions of the resource may exist. */
  definition: ResourceDefinition;
  subresource: Subresource | undefined;
  namespace: string | undefined;
  name: string;
  /** As it would be stored, in the request's version; undefined for a deletion. Never change it. */
  object: JsonObject | undefined;
  /** As it is stored; undefined for a creation. Never change it. */
  oldObject: JsonObject | undefined;
  /** Who asks, whether it is a dry run, and where warnings go. */
  options: WriteOptions;
}

/** Takes back what a rule set aside for a write that then did not happen. Does its best, never throws. */
export type Undo = () => Promise<void>;

/** One rule for every write. Both methods throw `StatusError` to refuse. */
export interface AdmissionRule {
  readonly name: string;
  /** Before the object is checked; for what makes the check pointless. */
  begin?(request: AdmissionRequest): Promise<void>;
  /** After everything else was checked, once for each attempt to write. May answer how to take back what it set aside. */
  decide?(request: AdmissionRequest): Promise<Undo | undefined>;
}

/** Warnings go out once, however often a write is tried. */
export function warn({ options }: AdmissionRequest, text: string): void {
  if (!options.warnings.includes(text)) options.warnings.push(text);
}
