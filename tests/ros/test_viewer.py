"""The viewer as a person meets it: real nodes, a real browser."""

import signal
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from hebbian_locomotion.msg import FootContacts, PlasticityState, SafetyState, SimulatorStatus
from hebbian_locomotion.srv import ResetWeights, SaveWeights, SetGate
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from browser import Page, chromium
from conftest import LATCHED, POLICY, ROBOT, ROOT, Process, stamp
from find_browser import browser_or_skip


@pytest.fixture(scope="module")
def browser():
    browser_or_skip()
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(world, browser):
    pages = []

    def open_page(url):
        page = Page(browser, url)
        if page.page.get_by_text("The page is not in this build").count():
            pytest.skip("npm was missing when this was built")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()


def start_walking(world, **viewer):
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    policy = world.start_policy()
    process, url = world.start_viewer(**viewer)
    world.spin_until(lambda: len(states) > 10, "control steps")
    return states, policy, process, url


def test_a_robot_walks_in_the_page_which_asks_nobody_else_and_its_gate_stops_the_weights(world, open_page):
    states, _, _, url = start_walking(world, policy=POLICY, robot=ROBOT)
    page = open_page(url)
    for node in ("viewer", "robot", "policy", "simulator"):
        page.wait_for_node(node, "live")
    page.wait(
        "document.querySelector('#waiting').hidden && document.querySelectorAll('#layers figure > canvas').length === 3"
    )
    page.page.select_option("#joint", "CF1")
    page.wait("/-?[0-9.]+°/.test(document.querySelector('#part-detail')?.textContent)")
    before, angle = page.picture(), page.joint_angle()
    page.wait(f"document.querySelector('#part-detail').textContent !== {angle!r}")
    assert page.picture() != before, "the robot stands still in the picture"
    page.wait("document.querySelector('#path-detail').textContent.startsWith('cloud')")

    # Shut the gate in the page: within a second no weight moves, as others see it too.
    page.page.click("#gate-shut")
    pressed = time.monotonic()
    world.spin_until(lambda: states[-1].gate == 0.0, "shut gate", lambda: states[-1])
    assert time.monotonic() - pressed < 1.0, "the gate shut too late"
    world.spin_for(0.3)
    assert not any(states[-1].weight_change_mean) and states[-1].gate_reason == "service", states[-1]
    page.wait("document.querySelector('#gate-shut').textContent.startsWith('Open')")
    page.page.keyboard.press("g")
    world.spin_until(lambda: states[-1].gate == 1.0, "gate opened by a key", lambda: states[-1])
    assert page.problems == []


def test_cutting_off_a_leg_in_the_page_changes_the_gait(world, open_page):
    contacts = world.collect(FootContacts, "foot_contacts")
    *_, url = start_walking(world)
    page = open_page(url)
    page.wait_for_node("simulator", "live")
    world.spin_for(3.0)

    def touches(messages):
        return sum(message.in_contact[message.names.index("tip1")] for message in messages)

    assert touches(contacts[-100:]) > 10, "the leg that is to be cut off does not walk"
    page.page.select_option("#joint", "BC1")
    page.page.get_by_role("button", name="Cut off").click()
    page.wait("document.querySelector('#part-detail').textContent.includes('lost leg')")
    # What came while the page was watched still waits for its turn.
    world.spin_for(0.5)
    contacts.clear()
    world.spin_until(lambda: len(contacts) > 100, "two seconds on five legs")
    assert touches(contacts[25:]) == 0


def test_the_stop_button_stops_the_policy_node_until_it_is_released(world, open_page):
    safety = world.collect(SafetyState, "policy/safety", LATCHED)
    *_, url = start_walking(world)
    page = open_page(url)
    page.wait("!document.querySelector('#stop').classList.contains('absent')")
    page.page.click("#stop")
    world.spin_until(lambda: safety and safety[-1].phase == "stopped", "stop", lambda: safety[-1:])
    page.wait("!document.querySelector('#release').hidden")
    page.page.click("#release")
    world.spin_until(lambda: safety[-1].phase != "stopped", "release", lambda: safety[-1:])


def test_the_past_can_be_held_and_looked_through(world, open_page):
    *_, url = start_walking(world)
    page = open_page(url)
    page.wait("Number(document.querySelector('#scrub').min) < -2")
    page.page.focus("body")
    page.page.keyboard.press("ArrowLeft")
    page.page.keyboard.press("ArrowLeft")
    page.wait("/s ago/.test(document.querySelector('#scrub-time').textContent)")
    held = page.page.locator("#readouts dd").nth(1).inner_text()
    world.spin_for(0.6)
    assert page.page.locator("#readouts dd").nth(1).inner_text() == held
    page.page.click("#live")
    page.wait("document.querySelector('#scrub-time').textContent === 'now'")
    assert page.problems == []


def test_nodes_that_are_lost_are_shown_as_lost_and_come_back_by_themselves(world, open_page):
    _, policy, viewer, url = start_walking(world)
    page = open_page(url)
    page.wait_for_node("policy", "live")
    policy.stop()
    page.wait_for_node("policy", "lost")
    page.wait("document.querySelector('#gate').disabled")
    world.start_policy()
    page.wait_for_node("policy", "live")
    page.wait("!document.querySelector('#gate').disabled")

    viewer.stop(signal.SIGTERM)
    page.wait_for_node("viewer", "lost")
    # What an attempt fails by browsers do not tell: it may be a token.
    page.wait("document.querySelector('#notice').textContent.includes('is not there, or refuses')")
    world.start_viewer(port=int(url.rsplit(":", 1)[1].strip("/")))
    page.wait_for_node("policy", "live")
    # The browser itself reports each failed attempt to reach a viewer that is not there.
    assert [problem for problem in page.problems if "WebSocket connection" not in problem] == []


def test_time_is_paused_and_goes_on_by_the_same_button(world, open_page):
    joints = world.collect(JointState, "joint_states")
    world.start_simulator(wait_for_command=False)
    _, url = world.start_viewer()
    page = open_page(url)
    page.wait_for_node("simulator", "live")
    page.page.click("#simulator-pause")
    page.wait("document.querySelector('#simulator-pause').textContent === 'Go on'")

    def stands_still():
        seen = stamp(joints[-1])
        world.spin_for(1.5)
        return stamp(joints[-1]) == seen

    world.spin_until(lambda: joints, "sensor values")
    world.spin_until(stands_still, "pause")
    assert page.text("#simulator-pause") == "Go on", "the label does not outlast the next pictures"
    time_shown = "[...document.querySelectorAll('#readouts dt')].find(({ textContent }) => textContent === 'time')"
    time_shown += ".nextElementSibling.textContent"
    paused_at, seen = page.page.evaluate(time_shown), stamp(joints[-1])
    page.page.click("#simulator-pause")
    world.spin_until(lambda: stamp(joints[-1]) > seen + 1_000_000_000, "second of simulated time")
    page.wait("document.querySelector('#simulator-pause').textContent === 'Pause'")
    page.wait(f"{time_shown} !== {paused_at!r}")
    assert page.problems == []


def test_a_status_that_was_on_its_way_does_not_undo_a_pause(world, open_page):
    _, url = world.start_viewer()
    page = open_page(url)
    statuses = world.client.create_publisher(SimulatorStatus, "simulator/status", 10)

    def pause(request, response):
        # Made before the pause, heard after it.
        statuses.publish(SimulatorStatus(paused=not request.data))
        response.success = True
        return response

    world.client.create_service(SetBool, "simulator/pause", pause)
    world.send_until(statuses, SimulatorStatus(), lambda: page.presence("simulator") == "live", "simulator in the page")
    page.page.click("#simulator-pause")
    world.spin_until(lambda: page.text("#simulator-pause") == "Go on", "pause", page.notice)
    world.spin_until(lambda: page.presence("simulator") == "silent", "silence", lambda: page.presence("simulator"))
    assert page.text("#simulator-pause") == "Go on", "an old status undid the pause"
    # Another client lets time go on.
    world.send_until(statuses, SimulatorStatus(), lambda: page.text("#simulator-pause") == "Pause", "end of the pause")


def test_a_simulator_that_is_gone_no_longer_spares_the_question(world, open_page):
    simulator = world.start_simulator()
    world.start_policy()
    _, url = world.start_viewer()
    page = open_page(url)
    for node in ("simulator", "policy"):
        page.wait_for_node(node, "live")
    page.page.click("#policy-reset-weights")
    page.wait("document.querySelector('#notice').textContent.startsWith('New weights')")
    simulator.stop()
    page.wait_for_node("simulator", "lost")
    page.page.click("#policy-reset-weights")
    page.wait("document.querySelector('#ask').open")
    page.page.get_by_role("button", name="Cancel").click()
    page.wait("!document.querySelector('#ask').open")
    # It may come back: its controls wait for it.
    assert page.page.locator("#simulation").is_visible() and page.page.locator("#simulator-pause").is_disabled()
    assert page.problems == []


def start_scripted_robot(world):
    urdf = ROOT / "config/robots/beetle.urdf"
    script = [sys.executable, Path(__file__).with_name("scripted_robot.py"), urdf]
    world.processes.append(Process(script, world.environment(), world.folder / "scripted_robot.log"))


def offer(world, service_type, name, message):
    """Offers a service in a policy node's place; returns the requests that come."""
    requests = []

    def answer(request, response):
        requests.append(request)
        response.success, response.message = True, message
        return response

    world.client.create_service(service_type, name, answer)
    return requests


def test_a_robot_without_simulator_is_shown_without_its_controls_and_can_be_stopped(world, open_page):
    start_scripted_robot(world)
    _, url = world.start_viewer()
    page = open_page(url)
    page.wait_for_node("robot", "live")
    page.wait("document.querySelector('#waiting').hidden")
    before = page.picture()
    page.wait("document.querySelector('#simulation').hidden && !document.querySelector('#no-simulator').hidden")
    assert page.page.locator("[data-node=simulator]").count() == 0
    world.spin_for(0.3)
    assert page.picture() != before, "the robot stands still in the picture"
    assert "absent" in page.page.locator("#stop").get_attribute("class")

    stops = offer(world, Trigger, "policy/emergency_stop", "stopped until it is released")
    deadline = time.monotonic() + 30
    while "absent" in page.page.locator("#stop").get_attribute("class"):
        assert time.monotonic() < deadline, "the stop button never found the policy's service"
        world.spin_for(0.2)
    page.page.click("#stop")
    world.spin_until(lambda: len(stops) == 1, "stop by the button")
    page.page.keyboard.press("Escape")
    world.spin_until(lambda: len(stops) == 2, "stop by the key")
    world.spin_for(0.3)
    page.wait("document.querySelector('#notice').textContent.includes('stopped until')")
    assert page.problems == []


def test_a_question_does_not_stand_in_the_way_of_a_stop(world, open_page):
    start_scripted_robot(world)
    _, url = world.start_viewer()
    page = open_page(url)
    page.wait_for_node("robot", "live")
    stops = offer(world, Trigger, "policy/emergency_stop", "stopped until it is released")
    resets = offer(world, ResetWeights, "policy/reset_weights", "new weights")
    world.spin_until(
        lambda: (
            page.page.locator("#policy-reset-weights").is_enabled()
            and "absent" not in page.page.locator("#stop").get_attribute("class")
        ),
        "services in the page",
    )

    def stops_by(act):
        stops.clear()
        page.page.click("#policy-reset-weights")
        page.wait("document.querySelector('#ask').open")
        act()
        world.spin_until(lambda: stops, "stop")
        # Time for one too many.
        world.spin_for(0.5)
        page.wait("!document.querySelector('#ask').open")
        return len(stops)

    assert stops_by(lambda: page.page.keyboard.press("Escape")) == 1
    assert stops_by(lambda: page.page.click("#ask-stop")) == 1
    assert resets == [], "what was asked was done all the same"

    stops.clear()
    page.page.click("#policy-reset-weights")
    page.page.click("#ask-go")
    world.spin_until(lambda: len(resets) == 1, "new weights after the question")
    assert stops == [] and page.problems == []


def test_weights_are_saved_in_the_file_of_the_parameter(world, open_page):
    path = world.folder / "kept.safetensors"
    _, url = world.start_viewer(weights_file=path)
    page = open_page(url)
    saves = offer(world, SaveWeights, "policy/save_weights", "saved")
    save = page.page.locator("#policy-save-weights")
    world.spin_until(save.is_enabled, "service in the page")
    assert str(path) in save.get_attribute("title")
    save.click()
    world.spin_until(lambda: saves, "save")
    assert saves[0].path == str(path)


def test_the_gate_is_toggled_by_what_was_commanded_once_a_press_and_not_from_a_list(world, open_page):
    _, url = world.start_viewer()
    page = open_page(url)
    states = world.client.create_publisher(PlasticityState, "policy/plasticity", 10)
    statuses = world.client.create_publisher(SimulatorStatus, "simulator/status", 10)
    gates = offer(world, SetGate, "policy/set_gate", "from the next control step on")
    world.spin_until(page.page.locator("#gate-shut").is_enabled, "service in the page")

    def shown(label, step, reason, layer_gates):
        detail = f"{reason} in step {step}"
        message = PlasticityState(step=step, gate=min(layer_gates), layer_gates=layer_gates)
        message.gate_reason, message.gate_detail = reason, detail
        expected = (detail, f"{label} the gate")
        world.send_until(
            states, message, lambda: (page.text("#gate-reason"), page.text("#gate-shut")) == expected, f"label: {label}"
        )

    def sent(act):
        gates.clear()
        act()
        # Time for one too many.
        world.spin_for(1.0)
        return [request.gate for request in gates]

    def press():
        page.page.keyboard.press("g")

    # A source of the policy keeps it shut, while it is commanded open.
    shown("Shut", 1, "schedule", [0.0, 0.0])
    assert sent(press) == [0.0]
    # One layer is shut by command, the other learns.
    shown("Shut", 2, "service", [0.0, 1.0])
    assert sent(press) == [0.0]
    shown("Open", 3, "service", [0.0, 0.0])

    def hold():
        for _ in range(5):
            page.page.keyboard.down("g")
        page.page.keyboard.up("g")

    assert sent(hold) == [1.0]

    # In a list a letter chooses an entry.
    world.send_until(statuses, SimulatorStatus(), page.page.locator("#joint").is_visible, "list of joints")
    page.page.focus("#joint")
    assert sent(press) == []
    assert page.problems == []


def test_damage_is_offered_to_joints_with_motors_alone(world, open_page):
    _, url = world.start_viewer()
    page = open_page(url)
    joints = world.client.create_publisher(JointState, "joint_states", 10)
    statuses = world.client.create_publisher(SimulatorStatus, "simulator/status", 10)
    state = JointState(name=["hip", "finger"], position=[0.1, 0.2])

    def offered():
        return page.page.evaluate("[...document.querySelectorAll('#joint option')].slice(1).map(({ value }) => value)")

    world.send_until(statuses, SimulatorStatus(), page.page.locator("#joint").is_visible, "list of joints")
    # A simulator that does not say what has motors.
    world.send_until(joints, state, lambda: offered() == ["hip", "finger"], "joints in the list", offered)
    motors = world.client.create_publisher(JointState, "simulator/motors", LATCHED)
    motors.publish(JointState(name=["hip"]))
    world.spin_until(lambda: offered() == ["hip"], "motors in the list", offered)
    assert page.problems == []


# Collects the speeds that the page shows.
NOTE_SPEEDS = """() => {
    window.speeds = [];
    const readouts = document.querySelector("#readouts");
    const note = () => {
        const speed = /speed(-?[0-9.]+) m/.exec(readouts.textContent);
        if (speed) window.speeds.push(Number(speed[1]));
    };
    new MutationObserver(note).observe(readouts, { childList: true, subtree: true, characterData: true });
}"""


def test_what_the_robot_did_while_it_was_silent_is_not_made_up_and_old_poses_are_forgotten(world, open_page):
    _, url = world.start_viewer()
    page = open_page(url)
    odometry = world.client.create_publisher(Odometry, "odom", 10)
    joints = world.client.create_publisher(JointState, "joint_states", 10)
    world.spin_until(
        lambda: odometry.get_subscription_count() > 0 and joints.get_subscription_count() > 0, "subscriptions"
    )
    page.wait_for_node("viewer", "live")
    page.page.evaluate(NOTE_SPEEDS)

    def stand(begin, seconds, x):
        """The robot stands at `x` from the time `begin` on; until the page shows the end."""
        pose, angles = Odometry(), JointState(name=["hip"], position=[0.0])
        pose.pose.pose.position.x, pose.pose.pose.orientation.w = x, 1.0
        for step in range(round(seconds / 0.02)):
            angles.header.stamp.sec, angles.header.stamp.nanosec = begin + step // 50, step % 50 * 20_000_000
            odometry.publish(pose)
            joints.publish(angles)
            world.spin_for(0.02)
        shown = "Number(/time([0-9.]+) s/.exec(document.querySelector('#readouts').textContent)?.[1])"
        page.wait(f"{shown} > {begin + seconds / 2}")

    # Some poses, and then none for longer than can be looked back: they are not in the slider.
    stand(10, 0.4, 0.0)
    stand(100, 3, 0.0)
    assert page.page.evaluate("Number(document.querySelector('#scrub').min)") > -10.0

    # A silence in which it was carried away: at no speed.
    page.wait("window.speeds.length > 0")
    world.spin_for(5.0)
    stand(110, 3, 50.0)
    speeds = page.page.evaluate("window.speeds")
    assert max(map(abs, speeds)) < 0.1, speeds
    assert page.problems == []


def test_a_page_too_many_says_so_and_opens_when_there_is_room(world, open_page):
    _, url = world.start_viewer(browsers=1)
    first = open_page(url)
    first.wait_for_node("viewer", "live")
    second = open_page(url)
    second.wait("document.querySelector('#notice').textContent.includes('too many browsers')")
    first.page.close()
    second.wait_for_node("viewer", "live")
    second.wait("document.querySelector('#notice').hidden")


def get(url):
    try:
        # As a browser: keeps the cookie that the token moves into.
        with urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(url, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_node_listens_beyond_this_machine_only_with_a_token(world):
    refused = world.start("viewer", address="0.0.0.0", port=0)
    assert refused.wait() == 1 and "token" in refused.output(), refused.output()
    refused = world.start("viewer", address="localhost", port=0)
    assert refused.wait() == 1 and "an IP address" in refused.output(), refused.output()
    viewer, printed = world.start_viewer(address="0.0.0.0", token="0123456789abcdefg")
    # Of use to another machine; this one may not know its own name.
    assert urllib.parse.urlsplit(printed).hostname == socket.gethostname().lower(), printed
    url = f"http://127.0.0.1:{urllib.parse.urlsplit(printed).port}/?token=0123456789abcdefg"
    assert printed.endswith(url.partition("127.0.0.1")[2]), printed
    assert get(url.split("?")[0]) == 401
    assert get(url.replace("abcdefg", "abcdefh")) == 401
    assert get(url) == 200
    assert viewer.stop() == 0


def test_a_port_in_use_is_an_error_that_says_so(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        viewer = world.start("viewer", port=taken.getsockname()[1])
        assert viewer.wait() == 1 and "cannot listen on" in viewer.output(), viewer.output()


def test_a_thousand_connections_that_say_nothing_leave_the_robot_and_the_page_alone(world):
    states, _, viewer, url = start_walking(world)
    port = int(url.rsplit(":", 1)[1].strip("/"))
    # Those that are refused close of themselves; keeping all would ask much of this process.
    silent = []
    for _ in range(1000):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        silent.append(connection)
        if len(silent) > 200:
            refusal = connection.recv(200)
            assert refusal.startswith(b"HTTP/1.1 503"), refusal
            silent.pop().close()
    seen = len(states)
    world.spin_until(lambda: len(states) > seen + 50, "control steps")
    assert viewer.popen.poll() is None
    for connection in silent:
        connection.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert get(url) == 200
            return
        except (AssertionError, OSError):
            time.sleep(0.2)
    raise AssertionError("no page after the connections were closed")


def test_the_viewer_hears_best_effort_and_publishes_nothing_of_its_own(world):
    world.start_viewer()
    world.spin_until(
        lambda: world.client.get_subscriptions_info_by_topic("/joint_states"), "subscription of the viewer"
    )
    (joint_states,) = world.client.get_subscriptions_info_by_topic("/joint_states")
    assert joint_states.qos_profile.reliability.name == "BEST_EFFORT"
    # The name of a node and its topics travel apart; a reader may be known before its node is.
    world.spin_until(lambda: ("viewer", "/") in world.client.get_node_names_and_namespaces(), "viewer among the nodes")
    world.spin_for(0.5)
    published = {name for name, _ in world.client.get_publisher_names_and_types_by_node("viewer", "/")}
    assert published <= {"/rosout", "/parameter_events"}
