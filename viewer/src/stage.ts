import {
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  CanvasTexture,
  Color,
  DirectionalLight,
  DoubleSide,
  Fog,
  HemisphereLight,
  LoadingManager,
  Line,
  LineBasicMaterial,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  type Object3D,
  PCFShadowMap,
  PerspectiveCamera,
  PlaneGeometry,
  Raycaster,
  Quaternion,
  RepeatWrapping,
  RingGeometry,
  Scene,
  SRGBColorSpace,
  Vector2,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import URDFLoader, { type URDFLink, type URDFRobot } from "urdf-loader";
import type { History } from "./history";
import type { GroundShape, State } from "./protocol";
import type { Theme } from "./theme";

/** A part that was clicked: a link, the joint that moves it, and where on the screen. */
export interface Picked {
  link: string;
  joint: string | null;
  isBase: boolean;
  x: number;
  y: number;
}

/** Side of the ground around the robot, and of a square of its grid [m]. */
const GROUND = 40;
const SQUARE = 0.25;
/** A press that moved less than this is a click [px]. */
const CLICK = 5;
const TRAIL_POINTS = 600;
/** Time between pictures where they are drawn in software [ms]. */
const PLAIN_PERIOD = 300;

/** The robot in three dimensions, on the ground. Axes as in ROS: x forward, z up. */
export class Stage {
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(36, 1, 0.02, 60);
  private readonly orbit: OrbitControls;
  private readonly sun = new DirectionalLight(0xffffff, 2.4);
  private readonly sky = new HemisphereLight(0xffffff, 0xb9bcc0, 1.3);
  private readonly ground: Mesh<PlaneGeometry, MeshStandardMaterial>;
  private readonly trail: Line<BufferGeometry, LineBasicMaterial>;
  private pieces: Mesh[] = [];
  // Flat shading shows every unevenness.
  private readonly groundMaterial = new MeshStandardMaterial({ roughness: 1, flatShading: true, side: DoubleSide });
  private robot: URDFRobot | null = null;
  private names: { joints: string[]; feet: string[] } = { joints: [], feet: [] };
  private feet: { link: URDFLink; ring: Mesh<RingGeometry, MeshBasicMaterial>; meshes: Mesh<BufferGeometry, MeshStandardMaterial>[] }[] = [];
  private theme: Theme | null = null;
  /** Without a graphics card the page must still answer at once: no shadows, fewer pictures. */
  readonly plain: boolean;
  private dirty = true;
  private framed = false;
  private readonly centre = new Vector3();

  constructor(
    private readonly canvas: HTMLCanvasElement,
    picked: (picked: Picked | null) => void,
  ) {
    this.plain = new URLSearchParams(location.search).get("quality") !== "full" && drawsInSoftware();
    this.renderer = new WebGLRenderer({ canvas, antialias: !this.plain, powerPreference: "low-power" });
    this.renderer.outputColorSpace = SRGBColorSpace;
    this.renderer.shadowMap.enabled = !this.plain;
    this.renderer.shadowMap.type = PCFShadowMap;
    this.camera.up.set(0, 0, 1);
    this.camera.position.set(-0.62, -0.95, 0.62);
    this.orbit = new OrbitControls(this.camera, canvas);
    this.orbit.enablePan = false;
    this.orbit.minDistance = 0.25;
    this.orbit.maxDistance = 8;
    this.orbit.maxPolarAngle = Math.PI / 2 - 0.03;
    this.orbit.addEventListener("change", () => (this.dirty = true));

    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    this.sun.shadow.radius = 4;
    const box = this.sun.shadow.camera;
    [box.left, box.right, box.bottom, box.top, box.near, box.far] = [-0.7, 0.7, -0.7, 0.7, 0.5, 6];
    this.ground = new Mesh(new PlaneGeometry(GROUND, GROUND), new MeshStandardMaterial({ roughness: 1 }));
    this.ground.receiveShadow = true;
    const points = new BufferGeometry();
    points.setAttribute("position", new BufferAttribute(new Float32Array(3 * TRAIL_POINTS), 3));
    points.setDrawRange(0, 0);
    this.trail = new Line(points, new LineBasicMaterial({ transparent: true, opacity: 0.7 }));
    this.trail.frustumCulled = false;
    this.scene.add(this.sun, this.sun.target, this.sky, this.ground, this.trail);

    this.listen(picked);
    new ResizeObserver(() => this.resize()).observe(canvas);
    let drawn = 0;
    const draw = (now: number) => {
      requestAnimationFrame(draw);
      if (!this.dirty || document.hidden || (this.plain && now - drawn < PLAIN_PERIOD)) return;
      this.dirty = false;
      drawn = now;
      this.orbit.update();
      this.renderer.render(this.scene, this.camera);
    };
    requestAnimationFrame(draw);
  }

  /** Makes the robot of its description. Meshes stand in files that a browser cannot reach; boxes take their places. */
  describe(urdf: string) {
    if (this.robot) this.scene.remove(this.robot);
    this.robot = null;
    // Nothing is loaded from anywhere: a description may name any address.
    const loader = new URDFLoader(new LoadingManager());
    loader.parseCollision = false;
    loader.loadMeshCb = (_url, _manager, _material, done) => done(new Mesh(new BoxGeometry(0.05, 0.05, 0.05), new MeshStandardMaterial()));
    const robot = loader.parse(urdf.replace(/<texture\b[^>]*\/?>/g, ""));
    robot.traverse((part) => {
      if (!(part instanceof Mesh)) return;
      const old = part.material as { color?: Color };
      part.material = new MeshStandardMaterial({ color: old.color ?? new Color(0x888888), roughness: 0.55, metalness: 0.05 });
      part.castShadow = true;
      part.receiveShadow = true;
    });
    this.robot = robot;
    this.scene.add(robot);
    this.framed = false;
    this.markFeet();
    this.dirty = true;
  }

  setNames(joints: string[], feet: string[]) {
    this.names = { joints, feet };
    this.markFeet();
  }

  get ready(): boolean {
    return this.robot !== null;
  }

  setTheme(theme: Theme) {
    this.theme = theme;
    const { sky, ground, grid, trail } = theme.stage;
    this.scene.background = new Color(sky);
    this.scene.fog = new Fog(sky, 2.5, 9);
    this.ground.material.map?.dispose();
    this.ground.material.map = gridTexture(ground, grid, this.renderer.capabilities.getMaxAnisotropy());
    this.ground.material.needsUpdate = true;
    this.groundMaterial.color.set(ground);
    this.sky.intensity = theme.dark ? 0.9 : 1.5;
    this.sun.intensity = theme.dark ? 2.6 : 2.2;
    this.trail.material.color.set(trail);
    for (const { ring } of this.feet) ring.material.color.set(theme.touch);
    this.dirty = true;
  }

  /** Lays pieces of ground; none: flat. */
  setGround(shapes: GroundShape[]) {
    for (const piece of this.pieces) {
      this.scene.remove(piece);
      piece.geometry.dispose();
    }
    this.pieces = shapes.map(({ position, orientation, size, points }) => {
      const geometry = size ? new BoxGeometry(...size) : new BufferGeometry();
      if (points) {
        geometry.setAttribute("position", new BufferAttribute(new Float32Array(points), 3));
        geometry.computeVertexNormals();
      }
      const piece = new Mesh(geometry, this.groundMaterial);
      piece.position.set(...position);
      piece.quaternion.set(...orientation);
      piece.receiveShadow = true;
      this.scene.add(piece);
      return piece;
    });
    this.ground.visible = shapes.length === 0;
    this.dirty = true;
  }

  /** Shows one instant; `follow` moves the camera along with the robot. */
  show(state: State, follow: boolean) {
    const robot = this.robot;
    if (!robot) return;
    this.names.joints.forEach((name, index) => {
      const angle = state.joints[index];
      if (typeof angle === "number") robot.joints[name]?.setJointValue(angle);
    });
    if (state.base) place(robot, state.base);
    else if (state.imu) robot.quaternion.set(...state.imu);
    robot.updateMatrixWorld(true);
    if (!state.base) this.standOnGround(robot);
    this.lightFeet(state);
    if (follow || !this.framed) this.follow();
    this.dirty = true;
  }

  /** The way of the base over the ground until `time`, since the robot was last silent. */
  drawTrail(history: History, time: number) {
    const positions = this.trail.geometry.getAttribute("position") as BufferAttribute;
    const states = history.states;
    const every = Math.max(1, Math.ceil(states.length / TRAIL_POINTS));
    let count = 0;
    for (let index = 0; index < states.length && count < TRAIL_POINTS; index++) {
      const state = states[index]!;
      const { base } = state;
      if (state.time > time) break;
      if (history.isAfterSilence(state)) count = 0;
      if (base && index % every === 0) positions.setXYZ(count++, base.position[0], base.position[1], 0.002);
    }
    positions.needsUpdate = true;
    this.trail.geometry.setDrawRange(0, count);
  }

  private standOnGround(robot: URDFRobot) {
    let lowest = 0;
    const at = new Vector3();
    for (const { link } of this.feet) lowest = Math.min(lowest, link.getWorldPosition(at).z - robot.position.z);
    robot.position.set(0, 0, -lowest + 0.01);
    robot.updateMatrixWorld(true);
  }

  private lightFeet(state: State) {
    const at = new Vector3();
    this.feet.forEach(({ link, ring, meshes }, index) => {
      const touches = state.feet.contact[index] ?? false;
      link.getWorldPosition(at);
      ring.position.set(at.x, at.y, 0.003);
      ring.visible = touches;
      for (const mesh of meshes) {
        mesh.material.emissive.set(touches ? (this.theme?.touch ?? "#ffaa00") : "#000000");
        mesh.material.emissiveIntensity = touches ? 1 : 0;
      }
    });
  }

  private markFeet() {
    for (const { ring } of this.feet) {
      this.scene.remove(ring);
      ring.geometry.dispose();
      ring.material.dispose();
    }
    const links = this.robot?.links ?? {};
    this.feet = this.names.feet.flatMap((name) => {
      const link = links[name];
      if (!link) return [];
      const material = new MeshBasicMaterial({ color: this.theme?.touch ?? "#ffaa00", transparent: true, opacity: 0.85 });
      const ring = new Mesh(new RingGeometry(0.016, 0.022, 32), material);
      ring.visible = false;
      this.scene.add(ring);
      const meshes: Mesh<BufferGeometry, MeshStandardMaterial>[] = [];
      link.traverse((part) => {
        if (part instanceof Mesh) meshes.push(part);
      });
      return [{ link, ring, meshes }];
    });
  }

  /** Moves camera, light and ground along with the robot. */
  private follow() {
    if (!this.robot) return;
    const to = new Vector3(this.robot.position.x, this.robot.position.y, Math.min(this.robot.position.z, 0.5) * 0.7);
    // Not by the jolts of each step: a tenth of the way per frame, except after a jump.
    const jump = !this.framed || to.distanceTo(this.centre) > 1;
    const step = to.sub(this.centre).multiplyScalar(jump ? 1 : 0.1);
    this.framed = true;
    this.centre.add(step);
    this.camera.position.add(step);
    this.orbit.target.copy(this.centre);
    this.sun.position.set(this.centre.x - 0.8, this.centre.y - 1.2, 2.2);
    this.sun.target.position.copy(this.centre);
    // In whole squares, so that the grid stands still.
    this.ground.position.set(Math.round(this.centre.x / SQUARE) * SQUARE, Math.round(this.centre.y / SQUARE) * SQUARE, 0);
  }

  private listen(picked: (picked: Picked | null) => void) {
    const canvas = this.canvas;
    let from: { x: number; y: number } | null = null;
    canvas.addEventListener("pointerdown", (event) => (from = { x: event.clientX, y: event.clientY }));
    canvas.addEventListener("pointerup", (event) => {
      if (!from || Math.hypot(event.clientX - from.x, event.clientY - from.y) > CLICK) return;
      picked(this.pick(event));
    });
    canvas.addEventListener("keydown", (event) => {
      const turns: Record<string, [number, number]> = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] };
      const turn = turns[event.key];
      const zoom = { "+": 0.9, "=": 0.9, "-": 1.1 }[event.key];
      if (!turn && !zoom) return;
      event.preventDefault();
      event.stopPropagation();
      const arm = this.camera.position.clone().sub(this.orbit.target);
      if (turn) {
        arm.applyAxisAngle(this.camera.up, turn[0]);
        const side = new Vector3().crossVectors(this.camera.up, arm).normalize();
        arm.applyAxisAngle(side, -turn[1]);
      }
      arm.multiplyScalar(zoom ?? 1);
      this.camera.position.copy(this.orbit.target).add(arm);
      this.orbit.update();
      this.dirty = true;
    });
  }

  private pick(event: PointerEvent): Picked | null {
    if (!this.robot) return null;
    const box = this.canvas.getBoundingClientRect();
    const at = new Vector2(((event.clientX - box.left) / box.width) * 2 - 1, 1 - ((event.clientY - box.top) / box.height) * 2);
    const ray = new Raycaster();
    ray.setFromCamera(at, this.camera);
    const hit = ray.intersectObject(this.robot, true)[0];
    if (!hit) return null;
    const [link, joint] = this.partOf(hit.object);
    return { link, joint, isBase: joint === null, x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** The link that an object belongs to and the joint that moves it. */
  private partOf(object: Object3D): [string, string | null] {
    let link = "";
    for (let part: Object3D | null = object; part; part = part.parent) {
      const urdf = part as Object3D & { isURDFLink?: boolean; isURDFJoint?: boolean; urdfName?: string };
      if (urdf.isURDFLink && !link) link = urdf.urdfName ?? "";
      if (urdf.isURDFJoint && this.names.joints.includes(urdf.urdfName ?? "")) return [link, urdf.urdfName ?? null];
    }
    return [link, null];
  }

  private resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.renderer.setPixelRatio(this.plain ? 1 : Math.min(devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    // A narrow window shows as much of the robot as a wide one.
    this.camera.fov = width / height < 1.1 ? 48 : 36;
    this.camera.updateProjectionMatrix();
    this.dirty = true;
  }
}

/** Puts `robot` so that the link of the odometry, which need not be the root of the description, is where that says. */
function place(robot: URDFRobot, base: NonNullable<State["base"]>) {
  const pose = new Matrix4().compose(new Vector3(...base.position), new Quaternion(...base.orientation), new Vector3(1, 1, 1));
  const link = robot.links[base.link];
  if (link && link !== robot) {
    robot.updateMatrixWorld(true);
    pose.multiply(link.matrixWorld.clone().invert()).multiply(robot.matrixWorld);
  }
  pose.decompose(robot.position, robot.quaternion, robot.scale);
}

function drawsInSoftware(): boolean {
  const gl = document.createElement("canvas").getContext("webgl2");
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  return !!gl && !!info && /swiftshader|llvmpipe|software/i.test(String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)));
}

function gridTexture(ground: string, line: string, anisotropy: number): CanvasTexture {
  const size = 128;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d")!;
  context.fillStyle = ground;
  context.fillRect(0, 0, size, size);
  context.strokeStyle = line;
  context.lineWidth = 1.5;
  context.strokeRect(0, 0, size, size);
  const texture = new CanvasTexture(canvas);
  texture.colorSpace = SRGBColorSpace;
  texture.wrapS = texture.wrapT = RepeatWrapping;
  texture.repeat.set(GROUND / SQUARE, GROUND / SQUARE);
  texture.anisotropy = anisotropy;
  return texture;
}

