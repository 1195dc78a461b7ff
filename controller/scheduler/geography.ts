/** Distances along the earth's surface. Pure. */

/** The earth's mean radius (IUGG). */
const earthRadiusKm = 6371.0088;
const radiansPerDegree = Math.PI / 180;

/** A point on the unit sphere. */
export interface Point {
  x: number;
  y: number;
  z: number;
}

export function pointAt(latitude: number, longitude: number): Point {
  const phi = latitude * radiansPerDegree;
  const lambda = longitude * radiansPerDegree;
  return { x: Math.cos(phi) * Math.cos(lambda), y: Math.cos(phi) * Math.sin(lambda), z: Math.sin(phi) };
}

/**
 * The haversine of the angle between two points of the unit sphere, from the straight line between them: the same number as
 * sin²(Δφ/2) + cos φ₁ cos φ₂ sin²(Δλ/2), without trigonometry for each pair. It grows with the distance.
 */
export function haversine(dx: number, dy: number, dz: number): number {
  return (dx * dx + dy * dy + dz * dz) / 4;
}

/** The haversine of a distance; 1 from half the earth's circumference on. */
export function haversineOfKm(distanceKm: number): number {
  const half = Math.min(distanceKm / earthRadiusKm / 2, Math.PI / 2);
  return Math.sin(half) ** 2;
}

export function kmOfHaversine(value: number): number {
  return 2 * earthRadiusKm * Math.asin(Math.min(1, Math.sqrt(value)));
}
